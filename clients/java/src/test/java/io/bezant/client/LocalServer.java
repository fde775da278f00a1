package io.bezant.client;

import io.grpc.BindableService;
import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerCredentials;
import io.grpc.ServerInterceptor;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;

/** A gRPC server on loopback that notes what comes with each call. */
final class LocalServer implements AutoCloseable {
    record Call(String method, String apiKey, boolean hasDeadline, long deadlineMillis) {}

    private static final Metadata.Key<String> API_KEY = Metadata.Key.of("x-api-key", Metadata.ASCII_STRING_MARSHALLER);

    final List<Call> calls = new CopyOnWriteArrayList<>();
    private final Server server;

    LocalServer(BindableService... services) {
        this(0, InsecureServerCredentials.create(), services);
    }

    LocalServer(int port, ServerCredentials credentials, BindableService... services) {
        var builder = Grpc.newServerBuilderForPort(port, credentials).intercept(new Notes());
        for (BindableService service : services) {
            builder.addService(service);
        }
        try {
            server = builder.build().start();
        } catch (IOException taken) {
            throw new IllegalStateException(taken);
        }
    }

    String address() {
        return "127.0.0.1:" + port();
    }

    int port() {
        return server.getPort();
    }

    @Override
    public void close() {
        try {
            server.shutdownNow().awaitTermination();
        } catch (InterruptedException interrupted) {
            throw new IllegalStateException(interrupted);
        }
    }

    private final class Notes implements ServerInterceptor {
        @Override
        public <Q, R> ServerCall.Listener<Q> interceptCall(
                ServerCall<Q, R> call, Metadata headers, ServerCallHandler<Q, R> next) {
            var deadline = Context.current().getDeadline();
            calls.add(new Call(
                    call.getMethodDescriptor().getBareMethodName(),
                    headers.get(API_KEY),
                    deadline != null,
                    deadline == null ? 0 : deadline.timeRemaining(TimeUnit.MILLISECONDS)));
            return next.startCall(call, headers);
        }
    }
}
