package io.bezant.client;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/** Waits between tries that double from 0.1 to 10 seconds, each cut by up to a half so that clients do not come at once. */
final class Backoff {
    private static final long FIRST_MILLIS = 100;
    private static final long LONGEST_MILLIS = 10_000;

    private long next = FIRST_MILLIS;

    Duration next() {
        Duration wait = Duration.ofMillis(ThreadLocalRandom.current().nextLong(next / 2, next + 1));
        next = Math.min(2 * next, LONGEST_MILLIS);
        return wait;
    }

    void reset() {
        next = FIRST_MILLIS;
    }
}
