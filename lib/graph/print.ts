import type { Graph, Value } from './graph.ts';
import { shapeText } from './types.ts';

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
  return graph.nodes
    .map(({ op, inputs, outputs, attributes }) => {
      const entries = Object.entries(attributes).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
      const call = `${op}(${inputs.map(({ name }) => name).join(', ')})`;
      return `${outputs.map(valueText).join(', ')} = ${call}${entries.length ? ` {${entries.join(', ')}}` : ''}`;
    })
    .join('\n');
}

function valueText({ name, dtype, shape, storage }: Value): string {
  return storage === 'variable' ? `&${name}` : `${name}: ${dtype} ${shapeText(shape)}`;
}
