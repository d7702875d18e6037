import type { Graph, Node, Value } from './graph.ts';
import { shapeText, typeText } from './types.ts';

/** Rows as aligned columns; columns of numbers stand to the right. */
export function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const numeric = header.map(
    (_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number' || row[i] === ''),
  );
  const text = [header, ...rows].map((row) => row.map(String));
  const widths = header.map((_, i) => Math.max(...text.map((row) => (row[i] ?? '').length)));
  const pad = (cell: string, i: number) => (numeric[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0));
  return text.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}

export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const exponent = Math.min(Math.floor(Math.log2(bytes) / 10), 4);
  return `${(bytes / 1024 ** exponent).toFixed(1)} ${'KMGT'[exponent - 1]}B`;
}

/** One line per node: `conv1: bfloat16 [8,16,32,32] = conv2d(images, conv1.weight) {stride: [1,1]}`. */
export function graphText(graph: Graph): string {
  return graph.nodes.map((node) => nodeText(node, valueText, ({ name }) => name)).join('\n');
}

/** One line without names or paths: equal for graphs that mean the same, such as `float32 plain [4]; 1 = relu(0)`. */
export function structureText({ values, nodes }: Graph): string {
  const id = (value: Value) => String(value.id);
  const given = values.filter(({ storage }) => storage !== 'temporary').map(typeText);
  const written = (value: Value) => (value.storage === 'variable' ? id(value) : `${id(value)}: ${typeText(value)}`);
  return [given.join(', '), ...nodes.map((node) => nodeText(node, written, id))].join('; ');
}

function nodeText(node: Node, written: (value: Value) => string, read: (value: Value) => string): string {
  const entries = Object.entries(node.attributes).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
  const call = `${node.op}(${node.inputs.map(read).join(', ')})`;
  return `${node.outputs.map(written).join(', ')} = ${call}${entries.length ? ` {${entries.join(', ')}}` : ''}`;
}

function valueText({ name, dtype, shape, storage }: Value): string {
  return storage === 'variable' ? `&${name}` : `${name}: ${dtype} ${shapeText(shape)}`;
}
