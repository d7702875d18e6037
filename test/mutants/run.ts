// Plants one bug after the other in a copy of the tree; each must turn a quick test red. `npm run mutants` prints a table
// and writes bench/results/mutants-<date>.json; with `-- --kernels` it plants bugs in the kernels of the CUDA back end,
// which the simulated device must find, and writes kernel-mutants-<date>.json. A part of descriptions chooses among them.
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { kernels } from './kernels.ts';
import type { Mutant } from './mutant.ts';
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

function checkBaseline(tree: Tree, chosen: readonly Mutant[]): void {
  for (const tests of new Map(chosen.map(({ tests }) => [JSON.stringify(tests), tests])).values()) {
    const failed = tree.test(tests);
    if (failed !== null) throw new Error(`without any mutant, '${failed}' fails: ${JSON.stringify(tests)}`);
  }
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

function record(title: string, outcomes: readonly Outcome[]): string {
  const date = new Date().toISOString();
  const name = join('bench', 'results', `${title}-${date.slice(0, 10)}.json`);
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`;
  const head = { date, commit: git('rev-parse', 'HEAD').trim(), dirty: git('status', '--porcelain') !== '', machine };
  const killed = outcomes.filter((outcome) => outcome.killed).length;
  const content = { ...head, node: process.version, mutants: outcomes.length, killed, outcomes };
  mkdirSync(join(root, dirname(name)), { recursive: true });
  writeFileSync(join(root, name), `${JSON.stringify(content, null, 2)}\n`);
  return name;
}

function main(args: readonly string[]): void {
  const [title, all] = args[0] === '--kernels' ? ['kernel-mutants', kernels] : ['mutants', mutants];
  const part = args[all === kernels ? 1 : 0] ?? '';
  const chosen = all.filter(({ bug }) => bug.includes(part));
  const tree = new Tree();
  try {
    for (const mutant of chosen) planted(tree, mutant);
    console.log(`building, and running the tests of ${chosen.length} mutants without any of them ...`);
    checkBaseline(tree, chosen);
    const outcomes: Outcome[] = [];
    for (const mutant of chosen) {
      const outcome = run(tree, mutant);
      outcomes.push(outcome);
      console.log(`${outcome.killed ? 'killed  ' : 'SURVIVED'} ${outcome.bug}\n         by: ${outcome.by}`);
    }
    const survivors = outcomes.filter(({ killed }) => !killed);
    console.log(`${outcomes.length - survivors.length} of ${outcomes.length} mutants killed`);
    if (!part) console.log(`record: ${record(title, outcomes)}`);
    if (survivors.length) process.exitCode = 1;
  } finally {
    tree.remove();
  }
}

main(process.argv.slice(2));
