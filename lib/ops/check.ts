// Argument and shape checks of the ops: what every error says, in one place.
import {
  ArgumentError,
  checkOptions,
  type Graph,
  type Shape,
  ShapeError,
  shapeText,
  type Value,
} from '../graph/index.ts';

const maximum = 2 ** 31 - 1;

/** One number for both axes, or [h, w]. */
export type Pair = number | readonly number[];

/**
 * One number for all sides, [h, w], or [top, left, bottom, right]. 'same': as much as ceil(size / stride) windows need,
 * an odd pixel after, as TensorFlow pads. 'fixed': the window's extent less one whatever the stride, an odd pixel after.
 */
export type Padding = number | readonly number[] | 'same' | 'fixed';

/** The checks of one op at one place; its errors begin with the op and the layer path. */
export class Check {
  readonly #where: string;

  constructor(graph: Graph, op: string) {
    this.#where = graph.where(op);
  }

  options(options: object, ...known: readonly string[]): void {
    checkOptions(this.#where, options, known);
  }

  argument(text: string): ArgumentError {
    return new ArgumentError(`${this.#where}: ${text}`);
  }

  shape(text: string): ShapeError {
    return new ShapeError(`${this.#where}: ${text}`);
  }

  integer(name: string, value: unknown, minimum: number): number {
    if (isInteger(value, minimum)) return value;
    throw this.argument(`${name} must be an integer from ${minimum} to 2^31 - 1, got ${valueText(value)}`);
  }

  /** A finite number that satisfies `range`, which is put into words by `words`. */
  number(name: string, value: unknown, words: string, range: (value: number) => boolean): number {
    if (typeof value === 'number' && Number.isFinite(value) && range(value)) return value;
    throw this.argument(`${name} must be ${words}, got ${valueText(value)}`);
  }

  numbers(
    name: string,
    value: readonly unknown[],
    length: number,
    words: string,
    range: (v: number) => boolean,
  ): number[] {
    if (!Array.isArray(value) || value.length !== length) {
      throw this.argument(`${name} must be ${length} numbers, got ${valueText(value)}`);
    }
    return value.map((item, i) => this.number(`${name}[${i}]`, item, words, range));
  }

  flag(name: string, value: unknown): boolean {
    if (typeof value === 'boolean') return value;
    throw this.argument(`${name} must be true or false, got ${valueText(value)}`);
  }

  pair(name: string, value: unknown, minimum: number): [number, number] {
    const both = Array.isArray(value) ? value : [value, value];
    if (both.length === 2 && both.every((item) => isInteger(item, minimum))) return both as [number, number];
    throw this.argument(
      `${name} must be an integer from ${minimum} to 2^31 - 1, or [h, w] of them, got ${valueText(value)}`,
    );
  }

  padding(value: unknown): [number, number, number, number] {
    const given = Array.isArray(value) ? value : [value, value];
    const sides = given.length === 2 ? [...given, ...given] : given;
    if (sides.length === 4 && sides.every((item) => isInteger(item, 0)))
      return sides as [number, number, number, number];
    const forms = "an integer from 0 to 2^31 - 1, [h, w], [top, left, bottom, right], 'same' or 'fixed'";
    throw this.argument(`padding must be ${forms}, got ${valueText(value)}`);
  }

  activation(name: string, value: Value): [number, number, number, number] {
    return this.#format(name, value, 'activation', '[N, C, H, W]');
  }

  filter(name: string, value: Value): [number, number, number, number] {
    return this.#format(name, value, 'filter', '[O, I / groups, kh, kw]');
  }

  matrix(name: string, value: Value, axes: string): [number, number] {
    if (value.format !== 'plain' || value.shape.length !== 2) {
      throw this.shape(`${name} must be plain ${axes}, got ${value.format} ${shapeText(value.shape)}`);
    }
    return value.shape as unknown as [number, number];
  }

  hasShape(name: string, value: Value, shape: Shape, reason: string): void {
    if (value.shape.length === shape.length && value.shape.every((size, axis) => size === shape[axis])) return;
    throw this.shape(`${name} must be ${shapeText(shape)}, ${reason}, got ${shapeText(value.shape)}`);
  }

  dtype(name: string, value: Value, ...allowed: readonly string[]): void {
    if (allowed.includes(value.dtype)) return;
    throw this.shape(`${name} must be ${allowed.join(' or ')}, got ${value.dtype} ('${value.name}')`);
  }

  /** A value that activations may have: float32, float64, bfloat16 or float16. */
  float(name: string, value: Value): void {
    this.dtype(name, value, 'float32', 'float64', 'bfloat16', 'float16');
  }

  /** Parameters, statistics and losses have the graph's own dtype. */
  full(name: string, value: Value): void {
    this.dtype(name, value, value.graph.dtype);
  }

  variable(name: string, value: Value): void {
    if (value.storage !== 'variable')
      throw this.argument(`${name} must be a variable, got ${value.storage} '${value.name}'`);
  }

  /** An int32 [1]: a seed or the number of a step. */
  counter(name: string, value: Value): void {
    this.dtype(name, value, 'int32');
    this.hasShape(name, value, [1], 'a counter');
  }

  #format(name: string, value: Value, format: string, axes: string): [number, number, number, number] {
    if (value.format !== format || value.shape.length !== 4) {
      throw this.shape(
        `${name} must be ${format} ${axes}, got ${value.format} ${shapeText(value.shape)} ('${value.name}')`,
      );
    }
    return value.shape as unknown as [number, number, number, number];
  }
}

function isInteger(value: unknown, minimum: number): value is number {
  return Number.isInteger(value) && (value as number) >= minimum && (value as number) <= maximum;
}

/** A value as one would type it: strings in quotes, NaN as NaN. */
export function valueText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(valueText).join(', ')}]`;
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
