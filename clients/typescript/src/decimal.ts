const GRAMMAR = /^(-?)([0-9]{1,30})(?:\.([0-9]{1,30}))?$/;
const MOST_DIGITS = 30;

/**
 * An exact decimal: the type of every price, quantity, rate and amount. It never passes through a binary float.
 *
 * It holds what the API's grammar does: at most 30 digits on each side of the point. The digits behind the point are
 * kept, so that `230.00` is written as it was read; `equals` and `compare` go by the value.
 */
export class Decimal {
  readonly #units: bigint;
  readonly #places: number;

  private constructor(units: bigint, places: number) {
    if (places > MOST_DIGITS || digits(units).length - places > MOST_DIGITS) {
      throw new RangeError("a decimal has at most 30 digits on each side of the point");
    }
    this.#units = units;
    this.#places = places;
  }

  /**
   * Reads a decimal: `-?digits(.digits)?`.
   *
   * @throws SyntaxError for anything else: exponents, a plus, separators, spaces, NaN.
   */
  static parse(text: string): Decimal {
    const [, minus, whole, fraction = ""] = GRAMMAR.exec(text) ?? [];
    if (whole === undefined) {
      throw new SyntaxError(`not a decimal: ${JSON.stringify(text)}`);
    }
    const units = BigInt(whole + fraction);
    return new Decimal(minus ? -units : units, fraction.length);
  }

  /** Reads a field of a message: undefined when it is absent, which is unknown, never zero. */
  static of(field: string | undefined): Decimal | undefined {
    return field === undefined ? undefined : Decimal.parse(field);
  }

  /**
   * The sum.
   *
   * @throws RangeError when it has too many digits; so do `minus` and `times`.
   */
  plus(other: Decimal): Decimal {
    const places = Math.max(this.#places, other.#places);
    return new Decimal(this.#at(places) + other.#at(places), places);
  }

  /** The difference. */
  minus(other: Decimal): Decimal {
    return this.plus(other.negated());
  }

  /** The product, with all its digits. */
  times(other: Decimal): Decimal {
    return new Decimal(this.#units * other.#units, this.#places + other.#places);
  }

  /** The same with the other sign. */
  negated(): Decimal {
    return new Decimal(-this.#units, this.#places);
  }

  /** Negative, 0 or positive as this is less than, equal to or greater than the other: to sort by. */
  compare(other: Decimal): number {
    const places = Math.max(this.#places, other.#places);
    const difference = this.#at(places) - other.#at(places);
    return difference < 0n ? -1 : difference > 0n ? 1 : 0;
  }

  /** Whether the values are the same: 1.5 equals 1.50. */
  equals(other: Decimal): boolean {
    return this.compare(other) === 0;
  }

  /** The decimal as the API takes it. */
  toString(): string {
    const text = digits(this.#units).padStart(this.#places + 1, "0");
    const point = text.length - this.#places;
    const value = this.#places > 0 ? `${text.slice(0, point)}.${text.slice(point)}` : text;
    return this.#units < 0n ? `-${value}` : value;
  }

  /** As `toString`: JSON's numbers are floats. */
  toJSON(): string {
    return this.toString();
  }

  /**
   * Text, for templates.
   *
   * @throws TypeError for `<`, `+` and other operators, which would compare text or round to a float.
   */
  [Symbol.toPrimitive](hint: string): string {
    if (hint !== "string") {
      throw new TypeError("use compare, equals, plus, minus and times: operators are not exact");
    }
    return this.toString();
  }

  #at(places: number): bigint {
    return this.#units * 10n ** BigInt(places - this.#places);
  }
}

function digits(units: bigint): string {
  return (units < 0n ? -units : units).toString();
}
