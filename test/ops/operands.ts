// What a case of an op is made of: operands, nodes, and the numbers that fill them.
import { type Attributes, type Format, type Graph, type Shape, typeOf, type Value } from '../../lib/graph/index.ts';
import { toBfloat16 } from '../support/bfloat16.ts';
import { toFloat16 } from '../support/float16.ts';
import type { Random } from '../support/random.ts';

/** F: dtype of the activations under test. S: float32 (float64 in a float64 graph), as docs/ops.md says. */
export type Kind = 'F' | 'S' | 'uint8' | 'int32';
export type Draw = (random: Random, integers: boolean) => number;

export interface Operand {
  readonly kind: Kind;
  readonly format: Format;
  readonly shape: Shape;
  readonly draw: Draw;
  readonly variable: boolean;
}

export type Operands = Readonly<Record<string, Operand>>;

export interface CaseNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: Operands;
  readonly attributes: Attributes;
}

export interface OpCase {
  readonly title: string;
  readonly inputs: Operands;
  readonly nodes: readonly CaseNode[];
  /** Whether small integers must give the reference's very numbers, as no intermediate result needs rounding. */
  readonly exact: boolean;
  /** Largest error of float32, relative to the largest magnitude of the output. */
  readonly tolerance: number;
}

/** Whether the type of the activations matters to it. */
export function usesF({ inputs, nodes }: OpCase): boolean {
  return [inputs, ...nodes.map(({ outputs }) => outputs)].some((o) =>
    Object.values(o).some(({ kind }) => kind === 'F'),
  );
}

const draws = {
  any: (random: Random, integers: boolean) => (integers ? random.integer(-2, 2) : random.normal()),
  positive: (random: Random, integers: boolean) => (integers ? random.integer(1, 3) : 0.5 + random.uniform()),
} as const;

const operand = (kind: Kind, format: Format, shape: Shape, draw: Draw = draws.any): Operand => {
  return { kind, format, shape, draw, variable: false };
};

export const A = (...shape: number[]) => operand('F', 'activation', shape);
export const W = (...shape: number[]) => operand('F', 'filter', shape);
export const F = (...shape: number[]) => operand('F', 'plain', shape);
export const S = (...shape: number[]) => operand('S', 'plain', shape);
export const filterS = (...shape: number[]) => operand('S', 'filter', shape);
export const positive = (given: Operand) => ({ ...given, draw: draws.positive });
export const drawn = (given: Operand, draw: Draw) => ({ ...given, draw });
export const variable = (given: Operand) => ({ ...given, variable: true });
export const integers = (low: number, high: number, ...shape: number[]) =>
  operand('int32', 'plain', shape, (random) => random.integer(low, high));
export const bytes = (...shape: number[]) => operand('uint8', 'plain', shape, (random) => random.integer(0, 255));

export type Dtype = 'float32' | 'float64' | 'bfloat16' | 'float16';
export type Numbers = ReadonlyMap<string, Float64Array>;

/** Numbers for every input and variable of the case, each exact in `dtype`. */
export function drawNumbers({ inputs, nodes }: OpCase, random: Random, whole: boolean, dtype: Dtype): Numbers {
  const variables = nodes.flatMap(({ outputs }) => Object.entries(outputs).filter(([, { variable }]) => variable));
  return new Map(
    [...Object.entries(inputs), ...variables].map(([name, { kind, shape, draw }]) => {
      const round =
        kind === 'F' && dtype === 'bfloat16'
          ? toBfloat16
          : kind === 'F' && dtype === 'float16'
            ? toFloat16
            : Math.fround;
      const count = shape.reduce((product, size) => product * size, 1);
      return [name, Float64Array.from({ length: count }, () => round(draw(random, whole)))];
    }),
  );
}

export interface Built {
  readonly inputs: Readonly<Record<string, Value>>;
  /** Temporaries and variables that the nodes write. */
  readonly outputs: Readonly<Record<string, Value>>;
}

/** Puts the case into a graph, node by node, as the op table says. */
export function emitCase(graph: Graph, { inputs, nodes }: OpCase, dtype: Dtype): Built {
  const type = ({ kind, format, shape }: Operand) => {
    const exact = kind === 'F' ? dtype : kind === 'S' ? graph.dtype : kind;
    return { shape, format, dtype: exact } as const;
  };
  const known: Record<string, Value> = {};
  for (const [name, given] of Object.entries(inputs)) known[name] = graph.input(name, type(given));
  const built = { inputs: { ...known }, outputs: {} as Record<string, Value> };
  for (const { op, inputs: names, outputs, attributes } of nodes) {
    const targets = Object.entries(outputs).map(([name, given]) => {
      return given.variable ? graph.variable(name, type(given)) : typeOf(type(given));
    });
    const operands = names.map((name) => known[name] as Value);
    const values = graph.emit(op, operands, targets, attributes);
    Object.keys(outputs).forEach((name, i) => {
      const value = values[i] as Value;
      known[name] = built.outputs[name] = value.storage === 'variable' ? value : graph.name(value, name);
    });
  }
  return built;
}
