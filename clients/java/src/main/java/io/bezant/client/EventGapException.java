package io.bezant.client;

import io.bezant.v1.EventTopic;
import io.bezant.v1.TopicSubscription;

/**
 * Events of a topic were missed: its cursor cannot be served any more (CURSOR_EXPIRED), as after a restart of a server
 * without a database. Look at the state of things through the other services, then go on with the same
 * {@link EventFollower}: the topic continues with the oldest event that the server holds.
 */
public final class EventGapException extends BezantException {
    private static final long serialVersionUID = 1L;

    private final TopicSubscription expired;

    EventGapException(BezantException error, TopicSubscription expired) {
        super(error);
        this.expired = expired;
    }

    TopicSubscription expired() {
        return expired;
    }

    /** {@return the topic whose events were missed} */
    public EventTopic topic() {
        return expired.getTopic();
    }

    /** {@return the contract of the topic MARKETDATA; 0 otherwise} */
    public long conid() {
        return expired.getConid();
    }

    /** {@return the cursor of the last event before the hole} */
    public long afterCursor() {
        return expired.getAfterCursor();
    }

    /** {@return the cursor of the oldest event that the server holds, with which the topic continues} */
    public long headCursor() {
        return number("head_cursor");
    }

    /** {@return the epoch now} */
    public long resetEpoch() {
        return number("reset_epoch");
    }

    private long number(String member) {
        return Long.parseLong(metadata().getOrDefault(member, "0"));
    }
}
