package io.bezant.client;

import io.grpc.Context;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.Iterator;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/** One call that gives messages, and counts as lost when they stay away. */
final class MessageStream<T> implements AutoCloseable {
    private final Context.CancellableContext life;
    private final Duration patience;
    private final Iterator<T> messages;

    MessageStream(Context parent, Duration patience, Supplier<Iterator<T>> call) {
        this.life = parent.withCancellation();
        this.patience = patience;
        Context previous = life.attach();
        try {
            messages = call.get();
        } finally {
            life.detach(previous);
        }
    }

    /**
     * Waits for the next message.
     *
     * @throws StatusRuntimeException if the call fails: UNAVAILABLE when the stream has ended or fallen silent
     */
    T read() {
        CompletableFuture<Void> silence = new CompletableFuture<>();
        silence.orTimeout(patience.toMillis(), TimeUnit.MILLISECONDS).exceptionally(late -> {
            life.cancel(lost("the server has said nothing for " + patience.toSeconds() + " seconds"));
            return null;
        });
        try {
            if (!messages.hasNext()) {
                throw lost("the stream has ended");
            }
            return messages.next();
        } finally {
            silence.complete(null);
        }
    }

    @Override
    public void close() {
        life.close();
    }

    private static StatusRuntimeException lost(String why) {
        return Status.UNAVAILABLE.withDescription(why).asRuntimeException();
    }
}
