package io.bezant.client;

import com.google.protobuf.DescriptorProtos.MethodOptions.IdempotencyLevel;
import com.google.protobuf.Descriptors.MethodDescriptor;
import io.bezant.v1.ContractsServiceGrpc;
import io.bezant.v1.DocsServiceGrpc;
import io.bezant.v1.EventsServiceGrpc;
import io.bezant.v1.GatewayServiceGrpc;
import io.bezant.v1.HistoricalDataServiceGrpc;
import io.bezant.v1.HistoricalRestServiceGrpc;
import io.bezant.v1.MarketDataServiceGrpc;
import io.bezant.v1.OrdersServiceGrpc;
import io.bezant.v1.PortfolioServiceGrpc;
import io.bezant.v1.ScannerServiceGrpc;
import io.bezant.v1.SessionServiceGrpc;
import io.bezant.v1.SidecarServiceGrpc;
import io.bezant.v1.TargetOrdersRestServiceGrpc;
import io.bezant.v1.TargetOrdersServiceGrpc;
import io.grpc.ServiceDescriptor;
import io.grpc.protobuf.ProtoServiceDescriptorSupplier;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** Which calls are tried again: those that the protos declare free of side effects, and no others. */
final class ReadRetries {
    private static final Map<String, Object> POLICY = Map.of(
            "maxAttempts", 4.0,
            "initialBackoff", "0.1s",
            "maxBackoff", "2s",
            "backoffMultiplier", 2.0,
            "retryableStatusCodes", List.of("UNAVAILABLE"));

    private ReadRetries() {}

    static Map<String, Object> serviceConfig() {
        List<Map<String, String>> reads = services()
                .flatMap(ReadRetries::methods)
                .filter(method -> method.getOptions().getIdempotencyLevel() == IdempotencyLevel.NO_SIDE_EFFECTS)
                .map(method -> Map.of("service", method.getService().getFullName(), "method", method.getName()))
                .toList();
        return Map.of("methodConfig", List.of(Map.of("name", reads, "retryPolicy", POLICY)));
    }

    private static Stream<ServiceDescriptor> services() {
        return Stream.of(
                ContractsServiceGrpc.getServiceDescriptor(),
                DocsServiceGrpc.getServiceDescriptor(),
                EventsServiceGrpc.getServiceDescriptor(),
                GatewayServiceGrpc.getServiceDescriptor(),
                HistoricalDataServiceGrpc.getServiceDescriptor(),
                HistoricalRestServiceGrpc.getServiceDescriptor(),
                MarketDataServiceGrpc.getServiceDescriptor(),
                OrdersServiceGrpc.getServiceDescriptor(),
                PortfolioServiceGrpc.getServiceDescriptor(),
                ScannerServiceGrpc.getServiceDescriptor(),
                SessionServiceGrpc.getServiceDescriptor(),
                SidecarServiceGrpc.getServiceDescriptor(),
                TargetOrdersRestServiceGrpc.getServiceDescriptor(),
                TargetOrdersServiceGrpc.getServiceDescriptor());
    }

    private static Stream<MethodDescriptor> methods(ServiceDescriptor service) {
        var described = (ProtoServiceDescriptorSupplier) service.getSchemaDescriptor();
        return described.getServiceDescriptor().getMethods().stream();
    }
}
