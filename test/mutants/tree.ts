// A copy of the tree in which bugs are planted, built and tested.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Simulation, Tests } from './mutant.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Null where the tests pass; else what turned red. */
export type Verdict = string | null;

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

const sanitizers = {
  address: { libraries: ['libasan.so', 'libubsan.so', 'libstdc++.so.6'], options: 'detect_leaks=0' },
  thread: { libraries: ['libtsan.so'], options: 'halt_on_error=1:ignore_noninstrumented_modules=1' },
} as const;

/** What a sanitizer or the simulated device says before it ends the process. */
const lastWords = /(AddressSanitizer: [\w-]+|ThreadSanitizer: [\w ]+|runtime error: .*|simulated device: .*)/;

export class Tree {
  readonly path = mkdtempSync(join(tmpdir(), 'node-cudnn-mutants-'));
  /** What was built since native sources changed. */
  readonly #built = new Set<string>();

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
    if (file.startsWith('native/')) this.#built.clear();
  }

  /** What fails first; what the tests run on is built before, where its sources have changed. */
  test(tests: Tests): Verdict {
    const simulation = 'native' in tests ? undefined : tests.simulation;
    const target = simulation ? `simulation_${simulation.sanitizer ?? 'plain'}` : 'addon';
    if (!this.#built.has(target)) this.#build(target);
    this.#built.add(target);
    return 'native' in tests ? this.#native(tests.native) : this.#vitest(tests.file, tests.names, simulation);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  #build(target: string): void {
    if (target === 'addon') this.#run(process.execPath, 'native/build.cjs', '-DNODE_CUDNN_TESTS=ON');
    else this.#simulate(target);
  }

  #simulate(target: string): void {
    const folder = join(this.path, 'build-simulate');
    const options = ['CMAKE_BUILD_TYPE=Release', 'NODE_CUDNN_SIMULATE=ON', 'NODE_CUDNN_WERROR=ON'].map((o) => `-D${o}`);
    const known = existsSync(join(folder, 'CMakeCache.txt'));
    if (!known) this.#run('cmake', '-S', '.', '-B', folder, ...options);
    this.#run('cmake', '--build', folder, '--parallel', String(availableParallelism()), '--target', target);
  }

  #run(program: string, ...args: readonly string[]): void {
    const { status, stdout, stderr } = spawnSync(program, args, { cwd: this.path, encoding: 'utf8' });
    if (status !== 0) throw new Error(`the build failed:\n${stdout}${stderr}`);
  }

  #native(filter: string): Verdict {
    const program = join(this.path, 'build', 'Release', 'native_tests');
    const { status, stdout } = spawnSync(program, [`--gtest_filter=${filter}`], { encoding: 'utf8' });
    if (!/\[==========\] [1-9]/.test(stdout)) throw new Error(`no native test matches ${filter}`);
    if (status === 0) return null;
    return /\[ {2}FAILED {2}\] (\S+)/.exec(stdout)?.[1] ?? `native_tests ended with ${String(status)}`;
  }

  #vitest(file: string, names = '', simulation?: Simulation): Verdict {
    const report = join(this.path, 'report.json');
    rmSync(report, { force: true });
    const filter = names ? ['-t', names] : [];
    const vitest = join(this.path, 'node_modules', 'vitest', 'vitest.mjs');
    const args = [vitest, 'run', file, ...filter, '--bail', '1', '--reporter', 'json', '--outputFile', report];
    const env = { ...process.env, ...(simulation && this.#environment(simulation)) };
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: this.path, encoding: 'utf8', env });
    const { testResults } = existsSync(report)
      ? (JSON.parse(readFileSync(report, 'utf8')) as Report)
      : { testResults: [] };
    const all = testResults.flatMap(({ assertionResults }) => assertionResults);
    if (status === 0 && !all.some((test) => test.status === 'passed')) throw new Error(`no test of ${file} ran`);
    if (status === 0) return null;
    const words = lastWords.exec(stdout + stderr)?.[1];
    return words ?? all.find((test) => test.status === 'failed')?.fullName ?? `${file} could not be run`;
  }

  #environment({ sanitizer, settings = '' }: Simulation): Record<string, string> {
    const place = { NODE_CUDNN_PREBUILD: join(this.path, 'build-simulate', 'simulation', sanitizer ?? 'plain') };
    if (!sanitizer) return { ...place, NODE_CUDNN_SIMULATION: settings };
    const { libraries, options } = sanitizers[sanitizer];
    const found = libraries.map((name) =>
      execFileSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim(),
    );
    return {
      ...{ ...place, NODE_CUDNN_SIMULATION: settings, LD_PRELOAD: found.join(' ') },
      ...{ ASAN_OPTIONS: options, TSAN_OPTIONS: options },
    };
  }
}

export function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 });
}
