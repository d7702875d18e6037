// One small program for the tests of the door: an addition, a ReLU, a dead node, a gather that can fail, a counter.
import { expect } from 'vitest';
import { type NativeGraph, type NativeNode, type NativeValue, native } from '../../lib/native.ts';

/** The devices that this build has; the CPU's absence is printed, not passed over. */
export const devices: readonly string[] = native()
  .backends()
  .filter(({ name, available, reason }) => {
    if (!available && name === 'cpu') console.warn(`skipped: the tests of the binding on '${name}': ${reason}`);
    return available && name !== 'cuda';
  })
  .map(({ name }) => name);

export const float4 = { dtype: 'float32', format: 'plain', shape: [4] } as const;
export const variables = [
  { name: 'w', ...float4 },
  { name: 'count', dtype: 'int32', format: 'plain', shape: [1] },
] as const;

export const values: readonly NativeValue[] = [
  { name: 'x', storage: 'input', ...float4 },
  { name: 'w', storage: 'variable', variable: 0, ...float4 },
  { name: 'count', storage: 'variable', variable: 1, dtype: 'int32', format: 'plain', shape: [1] },
  { name: 'sum', storage: 'temporary', ...float4 },
  { name: 'y', storage: 'temporary', keep: true, ...float4 },
  { name: 'dead', storage: 'temporary', ...float4 },
  { name: 'index', storage: 'input', dtype: 'int32', format: 'plain', shape: [2] },
  { name: 'row', storage: 'temporary', keep: true, dtype: 'float32', format: 'plain', shape: [2] },
];
export const nodes: readonly NativeNode[] = [
  { op: 'add', path: 'layer1', inputs: [0, 1], outputs: [3], attributes: {} },
  { op: 'relu', path: 'layer2', inputs: [3], outputs: [4], attributes: {} },
  { op: 'relu', path: 'dead', inputs: [3], outputs: [5], attributes: {} },
  { op: 'gather', path: 'rows', inputs: [1, 6], outputs: [7], attributes: {} },
  { op: 'increment', path: 'count', inputs: [], outputs: [2], attributes: { by: 1 } },
];
export const graph: NativeGraph = { values, nodes };

/** What a promise is rejected with, or a function throws. */
export async function failure(work: () => unknown): Promise<{ code: string; message: string }> {
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    const { code, message } = error as Error & { code: string };
    return { code, message };
  }
  throw new Error('no error');
}
