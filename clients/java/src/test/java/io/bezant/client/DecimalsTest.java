package io.bezant.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.bezant.v1.Quote;
import java.math.BigDecimal;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DecimalsTest {
    private static final String THIRTY = "123456789012345678901234567890";

    @ParameterizedTest
    @ValueSource(strings = {"0", "230.00", "-0.5", "0.1", "0.0000001", THIRTY + "." + THIRTY, "-" + THIRTY})
    void everyDigitSurvivesBothWays(String text) {
        assertEquals(text, Decimals.format(Decimals.parse(text)));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "", " 1", "1 ", "+1", "1e3", "1.", ".5", "1,000", "NaN", "--1", "1.2.3", "1\n", "١", THIRTY + "1", "0." + THIRTY + "1"
    })
    void whatIsNoDecimalIsRefused(String text) {
        IllegalArgumentException refused = assertThrows(IllegalArgumentException.class, () -> Decimals.parse(text));
        assertTrue(refused.getMessage().endsWith(": " + text), refused.getMessage());
    }

    @Test
    void anExponentIsWrittenOut() {
        assertEquals("1000", Decimals.format(new BigDecimal("1E+3")));
        assertEquals("0.00000001", Decimals.format(new BigDecimal("1E-8")));
    }

    @ParameterizedTest
    @ValueSource(strings = {"1E+30", "1E-31", "1E+999999999", "1E-999999999"})
    void tooManyDigitsAreRefused(String text) {
        assertThrows(IllegalArgumentException.class, () -> Decimals.format(new BigDecimal(text)));
    }

    @Test
    void absentStaysAbsent() {
        Quote quote = Quote.newBuilder().setBidPrice("230.00").build();
        assertEquals(
                Optional.of(new BigDecimal("230.00")), Decimals.get(quote, Quote::hasBidPrice, Quote::getBidPrice));
        assertEquals(Optional.empty(), Decimals.get(quote, Quote::hasAskPrice, Quote::getAskPrice));
    }
}
