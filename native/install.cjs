// What `npm install` runs: takes the prebuilt addon where it loads, else builds one. Needs no network.
'use strict';
const { spawnSync } = require('node:child_process');
const { join } = require('node:path');

const root = join(__dirname, '..');

// In a process of its own, so that a broken binary cannot take npm along.
function prebuildLoads() {
  const program = `require('node-gyp-build')(${JSON.stringify(root)})`;
  const env = { ...process.env, PREBUILDS_ONLY: '1' };
  return spawnSync(process.execPath, ['-e', program], { cwd: root, env, stdio: 'ignore' }).status === 0;
}

const fromSource = ['true', '1'].includes(process.env.npm_config_build_from_source ?? '');
if (fromSource || !prebuildLoads()) require('./build.cjs');
