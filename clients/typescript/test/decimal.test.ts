import { describe, expect, test } from "vitest";
import { Decimal } from "../src/index.js";

const LONGEST = `${"9".repeat(30)}.${"9".repeat(30)}`;

function d(text: string): Decimal {
  return Decimal.parse(text);
}

describe("a decimal", () => {
  const longest = `1${"0".repeat(29)}.${"0".repeat(29)}1`;
  test.each(["0", "1", "-1", "230.00", "0.1", "-0.05", longest, LONGEST])("is written as it was read: %s", (text) =>
    expect(d(text).toString()).toBe(text),
  );

  const exponents = ["1e3", "1E3", "0x1", "NaN", "Infinity"];
  const marks = ["", " 1", "1 ", "1\n", "+1", "--1", "1.", ".5", "1,000", "1.2.3", "\uff11"];
  const digits = ["1".repeat(31), `0.${"1".repeat(31)}`];
  test.each([...exponents, ...marks, ...digits])("is refused outside of the grammar: %j", (text) =>
    expect(() => d(text)).toThrow(SyntaxError),
  );

  test("is absent when the field is", () => {
    expect(Decimal.of(undefined)).toBeUndefined();
    expect(Decimal.of("0")?.toString()).toBe("0");
  });

  test("is exact", () => {
    expect(`${d("0.1").plus(d("0.2"))}`).toBe("0.3");
    expect(`${d("230.02").times(d("3"))}`).toBe("690.06");
    expect(`${d("1.10").minus(d("2"))}`).toBe("-0.90");
    expect(`${d("0.05").negated()}`).toBe("-0.05");
    expect(`${d("9007199254740993").plus(d("0.000000000000000001"))}`).toBe("9007199254740993.000000000000000001");
  });

  test("is compared by its value", () => {
    expect(d("1.5").equals(d("1.50"))).toBe(true);
    expect(d("-0").equals(d("0.00"))).toBe(true);
    expect([d("10"), d("9.5"), d("-3"), d("9.49")].sort((a, b) => a.compare(b)).map(String)).toEqual([
      "-3",
      "9.49",
      "9.5",
      "10",
    ]);
  });

  test("never has more digits than the grammar", () => {
    expect(() => d(LONGEST).plus(d("0.1"))).toThrow(RangeError);
    expect(() => d("0.0000000000000001").times(d("0.0000000000000001"))).toThrow(RangeError);
  });

  test("does not slip into floats", () => {
    const [one, two]: unknown[] = [d("1"), d("2")];
    expect(() => (one as number) < (two as number)).toThrow(TypeError);
    expect(() => (one as number) + (two as number)).toThrow(TypeError);
    expect(JSON.stringify({ price: d("1.50") })).toBe('{"price":"1.50"}');
  });
});
