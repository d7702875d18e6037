#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { helpOf, parse, suggestion, UsageError } from './args.ts';
import { type Command, outputOf } from './command.ts';
import { helpOptions } from './common.ts';

const commands: Readonly<Record<string, () => Promise<Command>>> = {
  train: async () => (await import('./train.ts')).command,
  evaluate: async () => (await import('./evaluate.ts')).command,
  predict: async () => (await import('./predict.ts')).command,
  summary: async () => (await import('./summary.ts')).command,
  bench: async () => (await import('./bench.ts')).command,
  start: async () => (await import('./start.ts')).command,
  devices: async () => (await import('./devices.ts')).command,
  doctor: async () => (await import('./doctor.ts')).command,
};

async function overview(): Promise<string> {
  const rows: string[] = [];
  for (const load of Object.values(commands)) {
    const { name, purpose } = await load();
    rows.push(`  ${name.padEnd(10)}${purpose}`);
  }
  return [
    'node-cudnn trains convolutional networks from TypeScript.',
    '',
    'Usage: node-cudnn <command> [options]',
    '',
    'Commands:',
    ...rows,
    '',
    'node-cudnn <command> --help shows options and examples; node-cudnn --version says which this is.',
    '',
  ].join('\n');
}

function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

async function run(argv: readonly string[]): Promise<void> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === 'help') {
    process.stdout.write(await overview());
    return;
  }
  if (name === '--version') {
    process.stdout.write(`${version()}\n`);
    return;
  }
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) {
    throw new UsageError(`unknown command '${name}'${suggestion(name, Object.keys(commands))}; --help lists all`);
  }
  const command = await load();
  const options = { ...command.options, ...helpOptions };
  if (rest.includes('--help')) {
    process.stdout.write(helpOf(command.usage, command.purpose, options, command.examples, command.notes));
    return;
  }
  const { values, positionals } = parse(name, rest, options);
  await command.run({ values, positionals, output: outputOf('json' in values && values.json === true) });
}

/** Exit codes: 0 done, 1 failed, 2 wrongly called. */
async function main(argv: readonly string[]): Promise<void> {
  try {
    await run(argv);
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    process.stderr.write(`node-cudnn: ${argv.includes('--debug') ? stack : message}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0); // the reader has seen enough: `node-cudnn summary ... | head`
  throw error;
});
await main(process.argv.slice(2));
