// What a planted bug is, and the tests that bugs are tried on.

export interface Mutant {
  readonly bug: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  readonly tests: Tests;
}

/** A vitest file with a pattern of test names, or a filter of the native tests. */
export type Tests =
  | { readonly file: string; readonly names?: string; readonly simulation?: Simulation }
  | { readonly native: string };

/** The device `cuda` is the simulation of test/cuda/sim. */
export interface Simulation {
  readonly sanitizer?: 'address' | 'thread';
  /** NODE_CUDNN_SIMULATION: see test/cuda/sim/control.h. */
  readonly settings?: string;
}

export const cpuOps = (names: string): Tests => ({ file: 'test/ops/cpu-vs-reference.test.ts', names });
export const cudaOps = (names: string, simulation: Simulation = {}): Tests => {
  return { file: 'test/cuda/cuda-vs-reference.test.ts', names, simulation };
};
export const gradients = (names: string): Tests => ({ file: 'test/ops/gradcheck.test.ts', names });
export const goldens = (names: string): Tests => ({ file: 'test/goldens/resnet20.test.ts', names });
export const file = (path: string): Tests => ({ file: path });
