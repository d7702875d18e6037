// Plants one bug after the other in a copy of the tree; each must turn a quick test red. `npm run mutants`
// [-- PART OF A BUG'S DESCRIPTION] prints a table and writes bench/results/mutants-<date>.json.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Mutant, Tests } from './mutant.ts';
import { mutants } from './mutants.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Outcome {
  readonly bug: string;
  readonly file: string;
  readonly killed: boolean;
  /** The first test that turned red; what happened instead where none did. */
  readonly by: string;
  readonly seconds: number;
}

/** Null where the tests pass; else the first that fails. */
type Verdict = string | null;

class Tree {
  readonly path = mkdtempSync(join(tmpdir(), 'node-cudnn-mutants-'));
  #stale = true;

  constructor() {
    const files = git('ls-files', '-z', '--cached', '--others', '--exclude-standard').split('\0').filter(Boolean);
    for (const file of files) {
      mkdirSync(join(this.path, dirname(file)), { recursive: true });
      cpSync(join(root, file), join(this.path, file));
    }
    for (const shared of ['node_modules', '.deps', '.cache']) {
      mkdirSync(join(root, shared), { recursive: true });
      symlinkSync(join(root, shared), join(this.path, shared));
    }
  }

  read(file: string): string {
    return readFileSync(join(this.path, file), 'utf8');
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.path, file), text);
    this.#stale ||= file.startsWith('native/');
  }

  /** What fails first; the addon is built before, where its sources have changed. */
  test(tests: Tests): Verdict {
    if (this.#stale) this.#build();
    this.#stale = false;
    return 'native' in tests ? this.#native(tests.native) : this.#vitest(tests.file, tests.names);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  #build(): void {
    const args = ['native/build.cjs', '-DNODE_CUDNN_TESTS=ON'];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: this.path, encoding: 'utf8' });
    if (status !== 0) throw new Error(`the build failed:\n${stdout}${stderr}`);
  }

  #native(filter: string): Verdict {
    const program = join(this.path, 'build', 'Release', 'native_tests');
    const { status, stdout } = spawnSync(program, [`--gtest_filter=${filter}`], { encoding: 'utf8' });
    if (!/\[==========\] [1-9]/.test(stdout)) throw new Error(`no native test matches ${filter}`);
    if (status === 0) return null;
    return /\[ {2}FAILED {2}\] (\S+)/.exec(stdout)?.[1] ?? `native_tests ended with ${String(status)}`;
  }

  #vitest(file: string, names = ''): Verdict {
    const report = join(this.path, 'report.json');
    rmSync(report, { force: true });
    const filter = names ? ['-t', names] : [];
    const vitest = join(this.path, 'node_modules', 'vitest', 'vitest.mjs');
    const args = [vitest, 'run', file, ...filter, '--bail', '1', '--reporter', 'json', '--outputFile', report];
    const { status } = spawnSync(process.execPath, args, { cwd: this.path, encoding: 'utf8' });
    const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as Report;
    const all = testResults.flatMap(({ assertionResults }) => assertionResults);
    if (status === 0 && !all.some((test) => test.status === 'passed')) throw new Error(`no test of ${file} ran`);
    if (status === 0) return null;
    return all.find((test) => test.status === 'failed')?.fullName ?? `${file} could not be run`;
  }
}

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 });
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
  try {
    const failed = tree.test(tests);
    const seconds = Math.round(performance.now() - begin) / 1000;
    return { bug, file, killed: failed !== null, by: failed ?? 'no test failed', seconds };
  } finally {
    tree.write(file, original);
  }
}

function record(outcomes: readonly Outcome[]): string {
  const date = new Date().toISOString();
  const name = join('bench', 'results', `mutants-${date.slice(0, 10)}.json`);
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`;
  const head = { date, commit: git('rev-parse', 'HEAD').trim(), dirty: git('status', '--porcelain') !== '', machine };
  const killed = outcomes.filter((outcome) => outcome.killed).length;
  const content = { ...head, node: process.version, mutants: outcomes.length, killed, outcomes };
  mkdirSync(join(root, dirname(name)), { recursive: true });
  writeFileSync(join(root, name), `${JSON.stringify(content, null, 2)}\n`);
  return name;
}

function main(part = ''): void {
  const chosen = mutants.filter(({ bug }) => bug.includes(part));
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
    if (!part) console.log(`record: ${record(outcomes)}`);
    if (survivors.length) process.exitCode = 1;
  } finally {
    tree.remove();
  }
}

main(process.argv[2]);
