package io.bezant.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Context;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.stub.MetadataUtils;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** What every call has: an API key, and a deadline if it is unary and names none. */
final class CallDefaults {
    private static final Metadata.Key<String> API_KEY =
            Metadata.Key.of("x-api-key", Metadata.ASCII_STRING_MARSHALLER);

    private CallDefaults() {}

    static List<ClientInterceptor> of(String apiKey, Duration deadline) {
        List<ClientInterceptor> interceptors = new ArrayList<>();
        interceptors.add(new UnaryDeadline(deadline));
        if (apiKey != null) {
            Metadata headers = new Metadata();
            headers.put(API_KEY, apiKey);
            interceptors.add(MetadataUtils.newAttachHeadersInterceptor(headers));
        }
        return interceptors;
    }

    private record UnaryDeadline(Duration deadline) implements ClientInterceptor {
        @Override
        public <Q, R> ClientCall<Q, R> interceptCall(MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
            boolean named = options.getDeadline() != null || Context.current().getDeadline() != null;
            if (method.getType() != MethodDescriptor.MethodType.UNARY || named) {
                return next.newCall(method, options);
            }
            return next.newCall(method, options.withDeadlineAfter(deadline.toMillis(), TimeUnit.MILLISECONDS));
        }
    }
}
