// Builds the addon and its plug-ins into build/Release with cmake-js. Arguments of the form -DNAME=VALUE go to CMake.
'use strict';
const { spawnSync } = require('node:child_process');
const { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { availableParallelism } = require('node:os');
const { join } = require('node:path');

const root = join(__dirname, '..');
const release = join(root, 'build', 'Release');
const out = join(root, 'build', 'cmake');
const stamp = join(out, '.options');

function definitions(args) {
  const unknown = args.find((arg) => !arg.startsWith('-D'));
  if (unknown) throw new Error(`node-cudnn: unknown build option ${unknown}: options have the form -DNAME=VALUE`);
  const fixed = { NODE_CUDNN_OUTPUT: release, ONEDNN_ROOT: process.env.ONEDNN_ROOT ?? '' };
  return [...Object.entries(fixed).map(([name, value]) => `${name}=${value}`), ...args.map((arg) => arg.slice(2))];
}

// An option that is no longer given must not survive in CMake's cache. What is compiled stays: CMake knows what to
// compile anew.
function forgetOtherOptions(options) {
  const wanted = JSON.stringify([root, options]);
  let had;
  try {
    had = readFileSync(stamp, 'utf8');
  } catch {}
  if (had === wanted) return;
  rmSync(join(out, 'CMakeCache.txt'), { force: true });
  mkdirSync(out, { recursive: true });
  writeFileSync(stamp, wanted);
}

function cmake(command, options) {
  const program = [require.resolve('cmake-js/bin/cmake-js'), command, '--log-level', 'warn'];
  const places = ['--directory', root, '--out', out, '--config', 'Release'];
  const parallel = ['--parallel', String(process.env.CMAKE_BUILD_PARALLEL_LEVEL ?? availableParallelism())];
  const args = [...program, ...places, ...parallel, ...options.map((option) => `--CD${option}`)];
  const { status, error } = spawnSync(process.execPath, args, { stdio: 'inherit', cwd: root });
  if (status === 0) return;
  console.error(
    `node-cudnn: \`cmake-js ${command}\` failed${error ? `: ${error.message}` : ''}. The build needs CMake 3.20, make or ` +
      'ninja, and a C++20 compiler (gcc 11, clang 14 or later); on Debian and Ubuntu `scripts/setup` installs them.',
  );
  process.exit(status || 1);
}

function sayWhatIsMissing() {
  if (existsSync(join(release, 'node_cudnn_cpu.so'))) return;
  console.warn(
    '\n*** node-cudnn was built WITHOUT its CPU back end: only the slow device `reference` is there. ***\n' +
      'Missing: oneDNN 3.2 or later (3.x), or OpenMP.\n' +
      'Cure:    scripts/setup   (or install oneDNN and set ONEDNN_ROOT to its prefix), then npm run build:native\n',
  );
}

const options = definitions(process.argv.slice(2));
forgetOtherOptions(options);
cmake('configure', options); // always: oneDNN may have come or gone since the last build
cmake('build', options);
sayWhatIsMissing();
