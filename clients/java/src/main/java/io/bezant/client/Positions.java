package io.bezant.client;

import io.bezant.v1.Event;
import io.bezant.v1.EventTopic;
import io.bezant.v1.TopicPosition;
import io.bezant.v1.TopicSubscription;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** How far each topic has been given. Cursors only grow, so whatever tells one can only move its topic on. */
final class Positions {
    private record Topic(EventTopic topic, long conid) {
        static Topic of(TopicSubscription subscription) {
            return new Topic(subscription.getTopic(), subscription.getConid());
        }

        boolean isNamedBy(Map<String, String> details) {
            return topic.name().equals(details.get("topic")) && String.valueOf(conid).equals(details.get("conid"));
        }
    }

    private final Map<Topic, TopicSubscription> topics = new LinkedHashMap<>();
    private final Deque<EventGapException> gaps = new ArrayDeque<>();

    Positions(List<TopicSubscription> wanted) {
        wanted.forEach(subscription -> topics.put(Topic.of(subscription), subscription));
    }

    /** Where the next stream begins. */
    synchronized List<TopicSubscription> subscriptions() {
        return List.copyOf(topics.values());
    }

    /** What the reader knows of: whoever goes on there is told of the holes that this one has not been told of. */
    synchronized List<TopicSubscription> told() {
        Map<Topic, TopicSubscription> told = new LinkedHashMap<>(topics);
        gaps.descendingIterator().forEachRemaining(gap -> told.put(Topic.of(gap.expired()), gap.expired()));
        return List.copyOf(told.values());
    }

    synchronized boolean isNew(Event event) {
        TopicSubscription known = topics.get(new Topic(event.getTopic(), event.getConid()));
        return known == null || !known.hasAfterCursor() || event.getCursor() > known.getAfterCursor();
    }

    void advance(Event event) {
        advance(new Topic(event.getTopic(), event.getConid()), event.getCursor());
    }

    void advance(List<TopicPosition> positions) {
        positions.forEach(
                position -> advance(new Topic(position.getTopic(), position.getConid()), position.getCursor()));
    }

    private synchronized void advance(Topic topic, long cursor) {
        topics.computeIfPresent(
                topic,
                (key, known) -> known.hasAfterCursor() && known.getAfterCursor() >= cursor
                        ? known
                        : known.toBuilder().setAfterCursor(cursor).build());
    }

    /**
     * Goes on behind a hole, wherever that is: numbers may begin anew.
     *
     * @return whether the error says in which topic it is; where one is followed, it is in that one
     */
    synchronized boolean pass(BezantException expiry) {
        Optional<Topic> topic = topics.keySet().stream()
                .filter(each -> topics.size() == 1 || each.isNamedBy(expiry.metadata()))
                .findFirst();
        topic.ifPresent(each -> {
            EventGapException gap = new EventGapException(expiry, topics.get(each));
            gaps.add(gap);
            long behind = Math.max(gap.headCursor() - 1, 0);
            topics.put(each, gap.expired().toBuilder().setAfterCursor(behind).build());
        });
        return topic.isPresent();
    }

    synchronized boolean hasGap() {
        return !gaps.isEmpty();
    }

    synchronized EventGapException nextGap() {
        return gaps.remove();
    }
}
