// From a graph to a program on a device. Opens native.ts, as only data/picture-reader.ts does besides.
import { type Answers, fasterOn, fuseByTime } from './choice.ts';
import {
  ArgumentError,
  checkOptions,
  type DType,
  fuse as fuseGraph,
  fusions,
  type Graph,
  type HostArray,
  isFloat,
  lower,
  ShapeError,
  sameType,
  typeOf,
  typeText,
  type Value,
  type ValueType,
} from './graph/index.ts';
import {
  type NativeBackendInfo,
  type NativeDevice,
  type NativeFinding,
  type NativeGraph,
  type NativeProgram,
  type NativeState,
  native,
} from './native.ts';
import { nativeVariable, toNative } from './native-graph.ts';
import { type Plan, type ProfileRow, planOf, planText } from './plan.ts';
import { checkArray, contentOf, nearest, State, type VariableSpec } from './state.ts';

export { State, type VariableSpec, variablesOf } from './state.ts';

export interface DeviceOptions {
  /** CPU threads; default: physical cores. */
  readonly threads?: number;
  /** CUDA: no atomics, no engine whose sums depend on timing, none chosen by its time; equal runs give equal bits. */
  readonly deterministic?: boolean;
  /** CUDA: float32 products may round their operands to tf32 (10 bits of mantissa). */
  readonly tf32?: boolean;
  /**
   * CUDA: time the engines that cuDNN and cuBLASLt propose, and fused groups beside what they stand for (default); else take
   * the first engine, and every group.
   */
  readonly measureEngines?: boolean;
  /**
   * CUDA: engines that cuDNN compiles at run time, a second each, for batch norm and pooling: 'never' (default); 'timed': one
   * takes the place of a kernel of ours where it is faster, and convolutions are timed with such engines too; 'always':
   * wherever there is one.
   */
  readonly compiledEngines?: 'never' | 'timed' | 'always';
  /** CUDA: the folder of cuDNN and cuBLASLt; default: searched, see docs/cuda.md. */
  readonly libraries?: string;
  /** CUDA: the folder where measured choices are kept; default: ~/.cache/node-cudnn. */
  readonly engineCache?: string;
}

const deviceOptions = [
  'threads',
  'deterministic',
  'tf32',
  'measureEngines',
  'compiledEngines',
  'libraries',
  'engineCache',
];

/** A machine that runs programs: 'cpu', 'reference' or 'cuda:N'. */
export class Device {
  readonly #device: NativeDevice;
  readonly #answers: Answers = new Map();
  readonly features: ReadonlySet<string>;

  private constructor(device: NativeDevice) {
    this.#device = device;
    this.features = new Set(device.features);
  }

  /**
   * Opens a device; 'cuda' is 'cuda:0'. There is no fall-back to another one: what is not there is an error that says
   * how to get it.
   */
  static async open(name: string, options: DeviceOptions = {}): Promise<Device> {
    checkOptions('Device.open', options, deviceOptions);
    checkThreads(options.threads);
    checkAvailable(name);
    return new Device(await native().openDevice(numbered(name), options));
  }

  /** The kinds of device that this build knows, and why one of them cannot be used here. */
  static backends(): readonly NativeBackendInfo[] {
    return native().backends();
  }

  /** What a device needs, and what of it was found here: driver, libraries, versions. The doctor's questions. */
  static findings(name: string, options: DeviceOptions = {}): readonly NativeFinding[] {
    checkOptions('Device.findings', options, deviceOptions);
    return native().findings(numbered(name), options);
  }

  get name(): string {
    return this.#device.name;
  }

  /** One line for people: processor, library, threads. */
  get description(): string {
    return this.#device.description;
  }

  get threads(): number {
    return this.#device.threads;
  }

  /** Bytes that states and programs hold now, and the most they ever held. */
  memory(): { readonly bytes: number; readonly peakBytes: number } {
    return this.#device.memory();
  }

  /** Allocates the variables and fills them as their `initial` says; those without one are zero. */
  async createState(variables: readonly VariableSpec[], options: { readonly seed?: number } = {}): Promise<State> {
    checkOptions('createState', options, ['seed']);
    const { seed = 0 } = options;
    if (!Number.isInteger(seed)) throw new ArgumentError(`createState: seed must be an integer, got ${String(seed)}`);
    const ready = variables.filter(({ initial }) => typeof initial !== 'function');
    for (const variable of ready) contentOf(variable, seed); // what does not fit is refused before anything is allocated
    const handle = await this.#device.createState(variables.map(nativeVariable));
    try {
      await fill(handle, variables, seed);
    } catch (error) {
      handle.close();
      throw error;
    }
    return new State(this, handle, variables);
  }

  /** @internal */
  compile(graph: NativeGraph, state: NativeState): Promise<NativeProgram> {
    return this.#device.compile(graph, state);
  }

  /** @internal */
  plan(graph: NativeGraph, state: NativeState): ReturnType<NativeDevice['plan']> {
    return this.#device.plan(graph, state);
  }

  /** @internal fuse(), but where this device measures, time decides. */
  async fuse(graph: Graph, features: ReadonlySet<string>, keep: readonly string[]): Promise<Graph> {
    if (!this.features.has('measures')) return fuseGraph(graph, features, keep);
    return fuseByTime(graph, features, keep, this.#answers, fasterOn(this.#device));
  }

  /** Waits for what is enqueued, then frees everything. */
  async close(): Promise<void> {
    await this.#device.close();
  }
}

/** One variable after the other: the contents of all at once would take the memory of the network a second time. */
async function fill(state: NativeState, variables: readonly VariableSpec[], seed: number): Promise<void> {
  for (const [i, variable] of variables.entries()) {
    const content = contentOf(variable, seed);
    if (content) await state.write(i, content);
  }
}

export interface CompileOptions {
  readonly device: Device;
  readonly state: State;
  /** Names of temporary values to be fetched after a step. */
  readonly keep?: readonly string[];
  /** Whether groups of nodes become one where the device has the kernel: all (default), none, or those of these `fusions()`. */
  readonly fuse?: boolean | readonly string[];
}

/** Fuses, plans and prepares the graph for the device; the program reads and writes the variables of `state`. */
export async function compile(graph: Graph, options: CompileOptions): Promise<Program> {
  const { final, native } = await finished(graph, options);
  const { device, state, keep = [] } = options;
  return new Program(final, await device.compile(native, state.handle), keep);
}

/** Bytes that a program of this graph would take, and bytes that the device could give now (Infinity: unknown). */
export interface MemoryNeed {
  readonly bytes: number;
  readonly availableBytes: number;
}

/** Plans as compile() does, but keeps no memory. */
export async function planMemory(graph: Graph, options: CompileOptions): Promise<MemoryNeed> {
  const { device, state } = options;
  const { native } = await finished(graph, options);
  const plan = await device.plan(native, state.handle);
  const unknown = plan.availableBytes >= 2 ** 63;
  return {
    bytes: plan.arenaBytes,
    availableBytes: unknown ? Number.POSITIVE_INFINITY : plan.availableBytes,
  };
}

/** The graph after all passes, checked, and as the device takes it. */
async function finished(graph: Graph, options: CompileOptions): Promise<{ final: Graph; native: NativeGraph }> {
  checkOptions('compile', options, ['device', 'state', 'keep', 'fuse']);
  const { device, state, keep = [], fuse = true } = options;
  if (state.device !== device) throw new ArgumentError('compile: the state belongs to another device');
  for (const name of keep) graph.find(name);
  checkDtypes(graph, device);
  warnOfEmulation(graph, device);
  const chosen = new Set(chosenFusions(fuse).filter((op) => device.features.has(op)));
  const final = lower(await device.fuse(graph, chosen, keep), device.features);
  checkVariables(final, state);
  const kept = new Set(keep.map((name) => final.find(name)));
  return { final, native: { ...toNative(final, (name) => state.index(name), kept), slices: chosen.has('op:concat') } };
}

/** The features that fuse() may use. */
function chosenFusions(fuse: boolean | readonly string[]): string[] {
  const all = fusions();
  const chosen = fuse === true ? all : fuse === false ? [] : fuse;
  const unknown = chosen.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new ArgumentError(`compile: nothing fuses to '${unknown}'${nearest(unknown, all)}`);
  return chosen.map((name) => `op:${name}`);
}

/** Inputs of a step, by name. */
export type Inputs = Readonly<Record<string, HostArray>>;

/** A step, compiled: run it as often as you like. Steps run off the event loop, in the order of the calls. */
export class Program {
  readonly plan: Plan;
  readonly #graph: Graph;
  readonly #program: NativeProgram;
  readonly #keep: readonly string[];
  readonly #inputs: readonly Value[];

  /** @internal */
  constructor(graph: Graph, program: NativeProgram, keep: readonly string[]) {
    this.#graph = graph;
    this.#program = program;
    this.#keep = keep;
    this.#inputs = graph.inputs;
    this.plan = planOf(graph, program.plan);
  }

  /** What a step reads: name and type of every input. */
  get inputs(): readonly (ValueType & { readonly name: string })[] {
    return this.#inputs.map((value) => ({ ...typeOf(value), name: value.name }));
  }

  /** One step. The arrays are copied before this returns; resolves when the step is done. */
  async step(inputs: Inputs = {}): Promise<void> {
    await this.run(1, inputs);
  }

  /** `steps` steps in one call: every input holds that many times its size, step i reads slice i. */
  async run(steps: number, inputs: Inputs = {}): Promise<void> {
    if (!Number.isInteger(steps) || steps < 1) {
      throw new ArgumentError(`run: steps must be an integer of at least 1, got ${String(steps)}`);
    }
    await this.#program.run(steps, this.#arrays(inputs, steps));
  }

  /** A variable or a kept value as the last step left it, dense in logical order. */
  async fetch(name: string): Promise<HostArray> {
    if (this.#graph.has(name)) {
      const value = this.#graph.find(name);
      const readable = value.storage === 'variable' || this.#keep.some((kept) => this.#graph.find(kept) === value);
      if (readable) return this.#program.fetch(value.id);
    }
    const known = [...this.#keep, ...this.#graph.variables.map((variable) => variable.name)];
    throw new ArgumentError(`'${name}' is not kept: compile(graph, { keep: ['${name}'] })${nearest(name, known)}`);
  }

  /** Runs one step, timing every node. */
  async profile(inputs: Inputs = {}): Promise<ProfileRow[]> {
    const seconds = await this.#program.profile(this.#arrays(inputs, 1));
    return this.plan.rows.map((row, i) => ({ ...row, seconds: seconds[i] as number }));
  }

  /** The plan as a table, one line per node. */
  toString(): string {
    return planText(this.plan);
  }

  close(): void {
    this.#program.close();
  }

  #arrays(given: Inputs, steps: number): HostArray[] {
    const arrays = this.#inputs.map((value) => {
      const data = given[value.name];
      if (data === undefined) throw new ArgumentError(`input '${value.name}' (${typeText(value)}) is missing`);
      checkArray(`input '${value.name}'`, value, data, steps);
      return data;
    });
    if (Object.keys(given).length > arrays.length) throw this.#unknownInput(given);
    return arrays;
  }

  #unknownInput(given: Inputs): ArgumentError {
    const names = this.#inputs.map(({ name }) => name);
    const unknown = Object.keys(given).filter((name) => !names.includes(name));
    return new ArgumentError(`the step has no input '${unknown[0]}'; its inputs: ${names.join(', ')}`);
  }
}

function numbered(name: string): string {
  return name === 'cuda' ? 'cuda:0' : name;
}

function checkThreads(threads: number | undefined): void {
  if (threads === undefined || (Number.isInteger(threads) && threads >= 1)) return;
  throw new ArgumentError(`Device.open: threads must be an integer of at least 1, got ${String(threads)}`);
}

function checkAvailable(name: string): void {
  const backends = native().backends();
  if (typeof name !== 'string' || !/^(cpu|reference|cuda(:\d+)?)$/.test(name)) {
    throw new ArgumentError(
      `Device.open: a device is called 'cpu', 'reference' or 'cuda:0', got ${JSON.stringify(name)}`,
    );
  }
  const backend = backends.find((candidate) => candidate.name === name.split(':')[0]);
  if (backend?.available) return;
  const usable = backends.filter(({ available }) => available).map((candidate) => `'${candidate.name}'`);
  const reason = backend?.reason ?? 'this build has no such back end';
  throw new ArgumentError(`Device.open: '${name}' is not available: ${reason}; available: ${usable.join(', ')}`);
}

function checkDtypes({ values }: Graph, { name, features }: Device): void {
  const value = values.find(({ dtype }) => isFloat(dtype) && dtype !== 'float32' && !features.has(`dtype:${dtype}`));
  if (!value) return;
  const cures: Partial<Record<DType, string>> = {
    bfloat16: 'train in float32',
    float16: "compute in float32 or bfloat16, or on a device that has float16: 'cuda:0', 'reference'",
  };
  const cure = cures[value.dtype] ?? "use device 'reference'";
  throw new ArgumentError(`compile: device '${name}' has no ${value.dtype} ('${value.name}'); ${cure}`);
}

const warned = new WeakSet<Device>();

function warnOfEmulation({ values }: Graph, device: Device): void {
  const slow = values.find(({ dtype }) => device.features.has(`emulated:${dtype}`));
  if (!slow || warned.has(device)) return;
  warned.add(device);
  process.emitWarning(
    `device '${device.name}' has no instructions for ${slow.dtype} and emulates it, slower than float32; ` +
      'train in float32',
    'PerformanceWarning',
  );
}

function checkVariables({ variables }: Graph, state: State): void {
  const missing = variables.filter(({ name }) => !state.has(name)).map(({ name }) => `'${name}'`);
  if (missing.length) {
    const cure = 'create it with createState(variablesOf(...)) of all graphs that share it';
    throw new ArgumentError(
      `compile: the state lacks ${missing.length} variables, first ${missing.slice(0, 3).join(', ')}; ${cure}`,
    );
  }
  for (const variable of variables) {
    const held = state.spec(variable.name);
    if (sameType(held, variable)) continue;
    throw new ShapeError(
      `compile: '${variable.name}' is ${typeText(variable)} in the graph, ${typeText(held)} in the state`,
    );
  }
}
