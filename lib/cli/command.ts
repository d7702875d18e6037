import type { Options, Values } from './args.ts';

/** Where a command writes: its answer, and what it says on the way (which leaves stdout alone under --json). */
export interface Output {
  readonly json: boolean;
  readonly log: NodeJS.WriteStream;
  line(text: string): void;
  /** The answer: as JSON under --json, else as text. */
  answer(value: object, text: () => string): void;
}

export interface Invocation<T extends Options> {
  readonly values: Values<T>;
  readonly positionals: readonly string[];
  readonly output: Output;
}

export interface Command<T extends Options = Options> {
  readonly name: string;
  readonly usage: string;
  readonly purpose: string;
  readonly options: T;
  readonly examples: readonly string[];
  /** Lines of the help between options and examples. */
  readonly notes?: readonly string[];
  run(invocation: Invocation<T>): Promise<void>;
}

export function defineCommand<const T extends Options>(command: Command<T>): Command<T> {
  return command;
}

export function outputOf(json: boolean): Output {
  const log = json ? process.stderr : process.stdout;
  return {
    json,
    log,
    line: (text) => void log.write(`${text}\n`),
    answer: (value, text) => void process.stdout.write(json ? `${JSON.stringify(value)}\n` : `${text()}\n`),
  };
}
