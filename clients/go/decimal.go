package bezant

import (
	"fmt"
	"regexp"

	"github.com/shopspring/decimal"
)

const maxDigits = 30

var grammar = regexp.MustCompile(`^-?[0-9]{1,30}(\.[0-9]{1,30})?$`)

// ParseDecimal reads a price, a quantity or an amount, exactly. It takes what the server sends and refuses the rest:
// exponents, a plus, separators, NaN, more than 30 digits on a side of the point.
func ParseDecimal(text string) (decimal.Decimal, error) {
	if !grammar.MatchString(text) {
		return decimal.Decimal{}, fmt.Errorf("bezant: %q is not a decimal: want -?digits(.digits)?, at most 30 on each side", text)
	}
	return decimal.NewFromString(text)
}

// ParseOptional reads an optional field. What is absent stays absent: it is unknown, never zero.
func ParseOptional(text *string) (decimal.NullDecimal, error) {
	if text == nil {
		return decimal.NullDecimal{}, nil
	}
	value, err := ParseDecimal(*text)
	return decimal.NullDecimal{Decimal: value, Valid: err == nil}, err
}

// FormatDecimal writes a decimal for the server, with the digits that it has: 230.00 stays 230.00. It refuses one with
// more than 30 digits on a side of the point.
func FormatDecimal(value decimal.Decimal) (string, error) {
	exponent := int(value.Exponent())
	if exponent < -maxDigits || value.NumDigits()+exponent > maxDigits {
		return "", fmt.Errorf("bezant: a decimal has at most %d digits on each side of the point: round it", maxDigits)
	}
	return value.StringFixed(max(0, -value.Exponent())), nil
}

// FormatOptional writes an optional field; nil for what is absent.
func FormatOptional(value decimal.NullDecimal) (*string, error) {
	if !value.Valid {
		return nil, nil
	}
	text, err := FormatDecimal(value.Decimal)
	if err != nil {
		return nil, err
	}
	return &text, nil
}
