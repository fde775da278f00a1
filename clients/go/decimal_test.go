package bezant_test

import (
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	bezant "github.com/bezant/bezant-grpc/clients/go"
)

func TestDecimalsGoThereAndBack(t *testing.T) {
	for _, text := range []string{
		"0", "1", "-1", "230.00", "0.1", "-0.0005", "007.50", "123456789012345678901234567890",
		strings.Repeat("9", 30) + "." + strings.Repeat("9", 30),
	} {
		t.Run(text, func(t *testing.T) {
			value, err := bezant.ParseDecimal(text)
			if err != nil {
				t.Fatal(err)
			}
			written, err := bezant.FormatDecimal(value)
			if err != nil {
				t.Fatal(err)
			}
			if written != strings.TrimPrefix(text, "00") {
				t.Fatalf("%s has become %s", text, written)
			}
			again, err := bezant.ParseDecimal(written)
			if err != nil || !again.Equal(value) {
				t.Fatal(again, err)
			}
		})
	}
}

func TestDecimalsAreExact(t *testing.T) {
	tenth, err := bezant.ParseDecimal("0.1")
	if err != nil {
		t.Fatal(err)
	}
	sum := tenth.Add(tenth).Add(tenth)
	if text, err := bezant.FormatDecimal(sum); err != nil || text != "0.3" {
		t.Fatal(text, err)
	}
}

func TestWhatTheGrammarRefuses(t *testing.T) {
	for _, text := range []string{
		"", "-", ".", "1.", ".5", "+1", "1e5", "1E5", "NaN", "Infinity", "1,000", "1_000", " 1", "1 ", "1\n", "0x1", "--1", "١",
		strings.Repeat("9", 31), "0." + strings.Repeat("9", 31),
	} {
		if value, err := bezant.ParseDecimal(text); err == nil {
			t.Errorf("%q was taken for %s", text, value)
		}
	}
}

func TestWhatCannotBeSent(t *testing.T) {
	for name, value := range map[string]decimal.Decimal{
		"31 digits before the point": decimal.New(1, 30),
		"31 digits behind it":        decimal.New(1, -31),
		"a monstrous exponent":       decimal.New(1, 1<<30),
		"a tiny one":                 decimal.New(1, -(1 << 30)),
	} {
		if text, err := bezant.FormatDecimal(value); err == nil {
			t.Errorf("%s: %s", name, text)
		}
		if text, err := bezant.FormatOptional(decimal.NewNullDecimal(value)); err == nil || text != nil {
			t.Errorf("%s: %v", name, text)
		}
	}
	for value, want := range map[*decimal.Decimal]string{
		new(decimal.New(1, 29)):   "1" + strings.Repeat("0", 29),
		new(decimal.New(-1, -30)): "-0." + strings.Repeat("0", 29) + "1",
	} {
		if text, err := bezant.FormatDecimal(*value); err != nil || text != want {
			t.Errorf("%s, %v, not %s", text, err, want)
		}
	}
}

func TestAbsentStaysAbsent(t *testing.T) {
	if value, err := bezant.ParseOptional(nil); err != nil || value.Valid {
		t.Error(value, err)
	}
	if text, err := bezant.FormatOptional(decimal.NullDecimal{}); err != nil || text != nil {
		t.Error(text, err)
	}
	zero := "0.00"
	value, err := bezant.ParseOptional(&zero)
	if err != nil || !value.Valid || !value.Decimal.IsZero() {
		t.Error(value, err)
	}
	if text, err := bezant.FormatOptional(value); err != nil || text == nil || *text != "0.00" {
		t.Error(text, err)
	}
	nothing := ""
	if value, err := bezant.ParseOptional(&nothing); err == nil || value.Valid {
		t.Error(value, err)
	}
}
