package io.bezant.client;

import java.math.BigDecimal;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/**
 * Decimals between messages, which have them as text, and {@link BigDecimal}: exact in both directions, with the digits
 * that were given.
 */
public final class Decimals {
    private static final int MOST_DIGITS = 30;
    private static final Pattern GRAMMAR = Pattern.compile("-?[0-9]{1,30}(\\.[0-9]{1,30})?");

    private Decimals() {}

    /**
     * Reads a decimal.
     *
     * @param text such as {@code 230.02} or {@code -0.5}; at most 30 digits on each side of the point
     * @return the number, with as many places as the text
     * @throws IllegalArgumentException if it is anything else: empty, with an exponent, a plus or a separator
     */
    public static BigDecimal parse(String text) {
        return new BigDecimal(checked(text));
    }

    /**
     * Reads a field that may be absent, which means unknown and never zero:
     * {@code Decimals.get(quote, Quote::hasBidPrice, Quote::getBidPrice)}.
     *
     * @param <M> the message's type
     * @param message what has the field
     * @param isPresent whether it has it
     * @param text the field
     * @return the number; empty when the field is absent
     * @throws IllegalArgumentException if the field is present and no decimal
     */
    public static <M> Optional<BigDecimal> get(M message, Predicate<M> isPresent, Function<M, String> text) {
        return isPresent.test(message) ? Optional.of(parse(text.apply(message))) : Optional.empty();
    }

    /**
     * Writes a decimal, for a field of a message.
     *
     * @param number at most 30 digits on each side of the point
     * @return its text, without an exponent
     * @throws IllegalArgumentException if it has more digits
     */
    public static String format(BigDecimal number) {
        if (Math.abs((long) number.scale()) > MOST_DIGITS) {
            throw refused(number.toString());
        }
        return checked(number.toPlainString());
    }

    private static String checked(String text) {
        if (!GRAMMAR.matcher(text).matches()) {
            throw refused(text);
        }
        return text;
    }

    private static IllegalArgumentException refused(String text) {
        return new IllegalArgumentException("not a decimal of at most 30 digits on each side of the point: " + text);
    }
}
