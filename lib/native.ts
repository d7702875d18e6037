// The one door to the addon: what crosses it, how it is found, what is said when it is missing.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

export type NativeArray = Float32Array | Float64Array | Int32Array | Uint8Array;

export interface NativeValueType {
  readonly dtype: 'float32' | 'float64' | 'bfloat16' | 'float16' | 'uint8' | 'int32';
  readonly format: 'activation' | 'filter' | 'plain';
  readonly shape: readonly number[];
}

export interface NativeVariable extends NativeValueType {
  readonly name: string;
}

export interface NativeValue extends NativeValueType {
  readonly name: string;
  readonly storage: 'input' | 'variable' | 'temporary';
  /** Index into the state's variables, for storage 'variable'. */
  readonly variable?: number;
  /** Still readable after the step. */
  readonly keep?: boolean;
}

export interface NativeNode {
  readonly op: string;
  readonly path: string;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly attributes: Readonly<Record<string, number | boolean | string | readonly number[]>>;
}

export interface NativeGraph {
  readonly values: readonly NativeValue[];
  readonly nodes: readonly NativeNode[];
  /** Whether values may lie inside others, and `concat` and `slice_channels` then copy nothing. */
  readonly slices?: boolean;
}

export interface NativeBackendInfo {
  readonly name: string;
  readonly available: boolean;
  /** Why it is not available, with the cure. */
  readonly reason?: string;
  readonly path?: string;
}

/** One node of the compiled plan, in execution order. */
export interface NativePlanNode {
  /** Index into NativeGraph.nodes; dead nodes are left out of the plan. */
  readonly node: number;
  readonly implementation: string;
  readonly workspaceBytes: number;
}

export interface NativePlan {
  readonly nodes: readonly NativePlanNode[];
  /** Offset of each value in the program's arena, by value index; -1 where it does not live there. */
  readonly offsets: readonly number[];
  /** Physical bytes of each value, by value index. */
  readonly bytes: readonly number[];
  /** The value inside which each lies, by value index; -1: none. */
  readonly wholes: readonly number[];
  readonly arenaBytes: number;
  /** The most bytes live at one time: no plan can be smaller. */
  readonly lowerBoundBytes: number;
}

export interface NativeProgram {
  readonly plan: NativePlan;
  /**
   * Enqueues `steps` steps. `inputs` holds one array per input value, in value order, each `steps` times the value's
   * size: step i reads slice i. The arrays are copied before this returns. Resolves when the last step is done.
   */
  run(steps: number, inputs: readonly NativeArray[]): Promise<void>;
  /** Copies a kept value or a variable out, dense in logical order (bfloat16 and float16 as float32). */
  fetch(value: number): Promise<NativeArray>;
  /** Runs one step, timing every node of the plan: seconds, in plan order. */
  profile(inputs: readonly NativeArray[]): Promise<Float64Array>;
  close(): void;
}

export interface NativeState {
  read(index: number): Promise<NativeArray>;
  /** The array is copied before this returns. */
  write(index: number, data: NativeArray): Promise<void>;
  close(): void;
}

export interface NativeDevice {
  readonly name: string;
  readonly description: string;
  readonly features: readonly string[];
  readonly threads: number;
  createState(variables: readonly NativeVariable[]): Promise<NativeState>;
  compile(graph: NativeGraph, state: NativeState): Promise<NativeProgram>;
  /** What compile() would lay out, without taking memory, and the bytes that the device could give now. */
  plan(graph: NativeGraph, state: NativeState): Promise<NativePlan & { readonly availableBytes: number }>;
  /**
   * The name of the graph whose step takes the least time, where the device measures; kept under `problem`, one line, with
   * its other choices. The graphs use variables of their own. The first where there is no memory to measure.
   */
  fastest(
    problem: string,
    variables: readonly NativeVariable[],
    alternatives: readonly { readonly name: string; readonly graph: NativeGraph }[],
  ): Promise<string>;
  /** Bytes that states and programs of this device hold now, and the most they ever held. */
  memory(): { readonly bytes: number; readonly peakBytes: number };
  /** Waits for what is enqueued, then frees everything. Later calls reject. */
  close(): Promise<void>;
}

/** One picture, and what becomes of it. */
export interface NativePicture {
  /** A JPEG file; or, with `width` and `height`, the pixels of a decoded picture, uint8 [height, width, 3]. */
  readonly bytes: Uint8Array;
  readonly width?: number;
  readonly height?: number;
  /** What is cut out, in pixels of the picture. */
  readonly box: readonly [left: number, top: number, width: number, height: number];
  /** To what the box is resized. */
  readonly scaled: readonly [width: number, height: number];
  /** Where in the resized box the result lies. */
  readonly offset: readonly [left: number, top: number];
  /** Mirrors the result, left to right. */
  readonly flip?: boolean;
  /** A JPEG file may be decoded at a half, a fourth or an eighth of its size, at least twice what is wanted. */
  readonly shrink?: boolean;
  /** Changes of the result's colours, in this order; factor 1 is none (Pillow's ImageEnhance). */
  readonly adjust?: readonly (readonly [quality: 'brightness' | 'contrast' | 'saturation', factor: number])[];
}

export interface NativePictureOptions {
  /** Of every result. */
  readonly width: number;
  readonly height: number;
  readonly filter: 'bilinear' | 'bicubic';
  /** The addon's picture threads become at least as many. */
  readonly threads: number;
  /** Takes what can be read of a damaged JPEG file. */
  readonly tolerant?: boolean;
}

export interface NativePictures {
  /** [count, height, width, 3]; that of a failure is undefined. */
  readonly pixels: Uint8Array;
  /** 'unsupported': another decoder may read it. */
  readonly failures: readonly {
    readonly index: number;
    readonly kind: 'damaged' | 'unsupported';
    readonly message: string;
  }[];
}

export interface NativeDeviceOptions {
  readonly threads?: number;
  readonly deterministic?: boolean;
  readonly tf32?: boolean;
  readonly measureEngines?: boolean;
  readonly compiledEngines?: 'never' | 'timed' | 'always';
  readonly libraries?: string;
  readonly engineCache?: string;
}

export interface NativeFinding {
  readonly what: string;
  /** Version and place, or why it does not serve, with the cure. */
  readonly found: string;
  readonly serves: boolean;
}

export interface NativeAddon {
  /** Whether libjpeg-turbo was there at build time; without it every JPEG file is 'unsupported'. */
  readonly readsJpeg: boolean;
  /** Decodes, cuts, resizes and mirrors on threads of the addon. The bytes are copied before this returns. */
  readPictures(pictures: readonly NativePicture[], options: NativePictureOptions): Promise<NativePictures>;
  backends(): NativeBackendInfo[];
  /** `name`: 'cpu', 'reference', 'cuda:0' ... */
  openDevice(name: string, options: NativeDeviceOptions): Promise<NativeDevice>;
  /** What a device of this kind needs, and what of it was found. Opens libraries, which takes a moment. */
  findings(name: string, options: NativeDeviceOptions): NativeFinding[];
}

/** Errors of the addon carry `code`: one of these. */
export type NativeErrorCode =
  | 'ERR_ARGUMENT'
  | 'ERR_GRAPH'
  | 'ERR_DEVICE'
  | 'ERR_DEVICE_LOST' // the process must restart
  | 'ERR_OUT_OF_MEMORY'
  | 'ERR_CLOSED';

let addon: NativeAddon | undefined;

/** Loads the addon once. Throws an Error that says what is missing and which command mends it. */
export function native(): NativeAddon {
  addon ??= load();
  return addon;
}

function load(): NativeAddon {
  const require = createRequire(import.meta.url);
  const root = fileURLToPath(new URL('..', import.meta.url));
  try {
    return require('node-gyp-build')(root) as NativeAddon;
  } catch (cause) {
    throw new Error(
      `node-cudnn: the native addon could not be loaded from ${root}: ${(cause as Error).message}\n` +
        'Build it with `npm run build:native` (in the repository) or `npm rebuild node-cudnn` (as a dependency; ' +
        'where npm blocks install scripts, first `npm install-scripts approve node-cudnn`).',
      { cause },
    );
  }
}
