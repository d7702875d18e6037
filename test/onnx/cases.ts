// The committed conformance cases (see generate.py), with their arrays.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

export interface OnnxCase {
  readonly name: string;
  readonly op: string;
  readonly attributes: Readonly<Record<string, number | string | readonly number[]>>;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly tolerance: readonly [relative: number, absolute: number];
}

interface Stored {
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32';
  readonly offset: number;
}

const read = (name: string) => readFileSync(fileURLToPath(new URL(name, import.meta.url)));

export function loadCases(): OnnxCase[] {
  const bytes = new Uint8Array(read('tensors.bin')).buffer;
  const tensor = ({ shape, dtype, offset }: Stored): Tensor => {
    const length = shape.reduce((product, size) => product * size, 1);
    return { shape, data: new (dtype === 'float32' ? Float32Array : Int32Array)(bytes, offset, length) };
  };
  const { cases } = JSON.parse(read('cases.json').toString());
  return cases.map((stored: OnnxCase & { inputs: Stored[]; outputs: Stored[] }) => {
    return { ...stored, inputs: stored.inputs.map(tensor), outputs: stored.outputs.map(tensor) };
  });
}
