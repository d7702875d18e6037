// Plants one bug after the other in a copy of the tree; each must turn a quick test red. `npm run mutants` prints a table
// and writes bench/results/mutants-<date>.json; with `-- --kernels` it plants bugs in the kernels of the CUDA back end,
// which the simulated device must find, and writes kernel-mutants-<date>.json. A part of descriptions chooses among
// them, and then nothing is written.
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { kernels } from './kernels.ts';
import type { Mutant, Tests } from './mutant.ts';
import { mutants } from './mutants.ts';
import { git, root, Tree } from './tree.ts';

interface Outcome {
  readonly bug: string;
  readonly file: string;
  readonly killed: boolean;
  /** The first test that turned red; what happened instead where none did. */
  readonly by: string;
  readonly seconds: number;
}

/** The text with the bug in it. A mutant that no longer fits its file is an error, not a survivor. */
function planted(tree: Tree, { bug, file, find, replace }: Mutant): string {
  const parts = tree.read(file).split(find);
  if (parts.length === 2) return parts.join(replace);
  throw new Error(`'${bug}': ${file} holds the text to replace ${parts.length - 1} times, must be once: ${find}`);
}

function checkBaseline(tree: Tree, tests: Tests): void {
  const failed = tree.test(tests);
  if (failed !== null) throw new Error(`without any mutant, '${failed}' fails: ${JSON.stringify(tests)}`);
}

function run(tree: Tree, mutant: Mutant): Outcome {
  const { bug, file, tests } = mutant;
  const begin = performance.now();
  const original = tree.read(file);
  tree.write(file, planted(tree, mutant));
  const outcome = (killed: boolean, by: string): Outcome => {
    return { bug, file, killed, by, seconds: Math.round(performance.now() - begin) / 1000 };
  };
  try {
    const failed = tree.test(tests);
    return outcome(failed !== null, failed ?? 'no test failed');
  } catch (error) {
    return outcome(false, String(error));
  } finally {
    tree.write(file, original);
  }
}

/** What holds for the whole run; asked before the first record is written. */
function circumstances(planned: number): Record<string, unknown> {
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`;
  const head = { commit: git('rev-parse', 'HEAD').trim(), dirty: git('status', '--porcelain') !== '', machine };
  return { date: new Date().toISOString(), ...head, node: process.version, planned };
}

/** Written anew after each mutant: what was tried is kept, whatever comes. */
function record(title: string, head: Record<string, unknown>, outcomes: readonly Outcome[]): void {
  const killed = outcomes.filter((outcome) => outcome.killed).length;
  const content = { ...head, mutants: outcomes.length, killed, outcomes };
  const name = join(root, 'bench', 'results', `${title}-${String(head.date).slice(0, 10)}.json`);
  mkdirSync(dirname(name), { recursive: true });
  writeFileSync(name, `${JSON.stringify(content, null, 2)}\n`);
}

function main(args: string[]): void {
  const options = { kernels: { type: 'boolean' } } as const;
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options });
  const [title, all] = values.kernels ? (['kernel-mutants', kernels] as const) : (['mutants', mutants] as const);
  const part = positionals[0] ?? '';
  const chosen = all.filter(({ bug }) => bug.includes(part));
  const head = circumstances(chosen.length);
  const outcomes: Outcome[] = [];
  const tree = new Tree();
  try {
    for (const mutant of chosen) planted(tree, mutant);
    console.log(`${chosen.length} mutants; tests run without any of them first`);
    const checked = new Set<string>();
    for (const mutant of chosen) {
      const tests = JSON.stringify(mutant.tests);
      if (!checked.has(tests)) checkBaseline(tree, mutant.tests);
      checked.add(tests);
      const outcome = run(tree, mutant);
      outcomes.push(outcome);
      console.log(`${outcome.killed ? 'killed  ' : 'SURVIVED'} ${outcome.bug}\n         by: ${outcome.by}`);
      if (!part) record(title, head, outcomes);
    }
  } finally {
    tree.remove();
  }
  const survivors = outcomes.filter(({ killed }) => !killed);
  console.log(`${outcomes.length - survivors.length} of ${outcomes.length} mutants killed`);
  if (survivors.length) process.exitCode = 1;
}

main(process.argv.slice(2));
