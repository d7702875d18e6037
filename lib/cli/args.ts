// Command-line options as data: parsing, help and error messages come from one table.
import { parseArgs } from 'node:util';
import { closest } from '../graph/index.ts';

/** A mistake in the command line: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

interface OptionBase {
  readonly description: string;
  /** What stands after the flag in the help; flags without it are switches. */
  readonly value?: string;
}

interface NumberRange {
  readonly min?: number;
  readonly max?: number;
  /** The range is open at `min`: the value must be greater. */
  readonly above?: number;
}

export type Option = OptionBase &
  (
    | { readonly type: 'switch' }
    | { readonly type: 'text'; readonly choices?: readonly string[] }
    | { readonly type: 'texts' }
    | ({ readonly type: 'integer' | 'number' } & NumberRange)
    | ({ readonly type: 'integers' | 'numbers' } & NumberRange)
  );

export type Options = Readonly<Record<string, Option>>;

type ValueOf<O extends Option> = O['type'] extends 'switch'
  ? boolean
  : O['type'] extends 'text'
    ? string
    : O['type'] extends 'texts'
      ? string[]
      : O['type'] extends 'integers' | 'numbers'
        ? number[]
        : number;

export type Values<T extends Options> = { readonly [K in keyof T]?: ValueOf<T[K]> };

export interface Parsed<T extends Options> {
  readonly values: Values<T>;
  readonly positionals: readonly string[];
}

/** Flags take their value as `--flag value` or `--flag=value`. Throws UsageError; a flag given twice: the last one counts, of `texts` all. */
export function parse<const T extends Options>(command: string, argv: readonly string[], options: T): Parsed<T> {
  const config = Object.fromEntries(
    Object.entries(options).map(([name, option]) => [
      name,
      { type: option.type === 'switch' ? ('boolean' as const) : ('string' as const) },
    ]),
  );
  const { tokens } = parseArgs({
    args: joinNegativeNumbers(argv, options),
    options: config,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values: Record<string, unknown> = {};
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (option === undefined) throw new UsageError(unknownFlag(command, token.rawName, Object.keys(options)));
    const flagFollows = !token.inlineValue && token.value?.startsWith('--');
    const value = typed(token.rawName, option, flagFollows ? undefined : token.value);
    const before = option.type === 'texts' ? (values[token.name] as string[] | undefined) : undefined;
    values[token.name] = before ? [...before, ...(value as string[])] : value;
  }
  return { values: values as Values<T>, positionals };
}

/** `--lr -1` is a value out of range, not a flag `-1`. */
function joinNegativeNumbers(argv: readonly string[], options: Options): string[] {
  const joined: string[] = [];
  for (let i = 0; i < argv.length; i += 1) {
    const [argument, next] = [argv[i] as string, argv[i + 1]];
    const takesValue = (options[argument.slice(2)]?.type ?? 'switch') !== 'switch';
    if (argument.startsWith('--') && takesValue && next !== undefined && /^-[\d.I]/.test(next)) {
      joined.push(`${argument}=${next}`);
      i += 1;
    } else joined.push(argument);
  }
  return joined;
}

function typed(flag: string, option: Option, value: string | undefined): unknown {
  if (option.type === 'switch') {
    if (value !== undefined) throw new UsageError(`${flag} is a switch and takes no value ('${value}')`);
    return true;
  }
  if (value === undefined || value === '') throw new UsageError(`${flag} needs a value: ${flag} ${option.value}`);
  switch (option.type) {
    case 'text':
      return choice(flag, option.choices, value);
    case 'texts':
      return [value];
    case 'integers':
    case 'numbers': {
      const type = option.type === 'integers' ? 'integer' : 'number';
      return value.split(/[\s,]+/).map((part) => number(flag, { ...option, type }, part));
    }
    default:
      return number(flag, option, value);
  }
}

function choice(flag: string, choices: readonly string[] | undefined, value: string): string {
  if (choices !== undefined && !choices.includes(value)) {
    throw new UsageError(`${flag} '${value}': choose one of ${choices.join(', ')}${suggestion(value, choices)}`);
  }
  return value;
}

function number(flag: string, option: NumberRange & { type: 'integer' | 'number' }, text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  const { min = -Infinity, max = Infinity, above = -Infinity } = option;
  const kind = option.type === 'integer' ? Number.isSafeInteger(value) : Number.isFinite(value);
  if (!kind || value < min || value > max || value <= above) {
    throw new UsageError(
      `${flag} '${text}': give ${option.type === 'integer' ? 'an integer' : 'a number'}${range(option)}`,
    );
  }
  return value;
}

function range({ min, max, above }: NumberRange): string {
  const low = above !== undefined ? ` greater than ${above}` : min !== undefined ? ` from ${min}` : '';
  return max === undefined ? low : `${low} up to ${max}`;
}

function unknownFlag(command: string, flag: string, known: readonly string[]): string {
  const flags = known.map((name) => `--${name}`);
  return `unknown flag ${flag}${suggestion(flag, flags)}; node-cudnn ${command} --help lists all`;
}

/** "; did you mean X?" with the nearest candidate. */
export function suggestion(word: string, candidates: readonly string[]): string {
  const [nearest] = closest(word, candidates, 1);
  return nearest === undefined ? '' : `; did you mean ${nearest}?`;
}

export function helpOf(
  usage: string,
  purpose: string,
  options: Options,
  examples: readonly string[],
  notes: readonly string[] = [],
): string {
  const rows = Object.entries(options).map(([name, option]) => [
    option.type === 'switch' ? `--${name}` : `--${name} ${option.value}`,
    option.description,
  ]);
  const width = Math.max(...rows.map(([flag]) => (flag as string).length));
  return [
    purpose,
    '',
    `Usage: ${usage}`,
    '',
    'Options:',
    ...rows.map(([flag, description]) => `  ${(flag as string).padEnd(width)}  ${description}`),
    '',
    ...notes,
    'Examples:',
    ...examples.map((example) => `  ${example}`),
    '',
  ].join('\n');
}
