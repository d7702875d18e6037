// Every way in which a process or a worker can end while a device or the picture threads are busy: the exit code is the one asked for, never
// a signal, and nothing hangs.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { devices } from './fixture.ts';

const script = fileURLToPath(new URL('exits.mjs', import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
}

function run(scenario: string, device = ''): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, scenario, device], { stdio: ['ignore', 'pipe', 'ignore'] });
    let stdout = '';
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout }));
  });
}

describe.each(devices)('%s', (device) => {
  it.each([
    ['idle device, natural end', 0],
    ['closed device, natural end', 0],
    ['waits for what was asked', 0],
    ['process.exit', 7],
    ['process.exit while opening', 7],
    ['process.exit in an exit listener', 7],
    ['uncaught error', 1],
    ['unhandled rejection', 1],
    ['worker, natural end', 0],
    ['worker, process.exit', 7],
    ['worker, uncaught error', 7],
    ['worker, terminated while busy', 7],
    ['worker, terminated at any moment', 7],
    ['process.exit with a busy worker', 7],
  ])('%s: exit code %i', async (scenario, code) => {
    const ended = await run(scenario, device);
    expect(ended).toEqual({ code, signal: null, stdout: scenario.startsWith('waits') ? 'done' : '' });
  });
});

it.each([
  ['waits for what was asked', 0],
  ['process.exit', 7],
  ['uncaught error', 1],
  ['worker, terminated while busy', 7],
])('pictures: %s: exit code %i', async (scenario, code) => {
  const ended = await run(`pictures: ${scenario}`);
  expect(ended).toEqual({ code, signal: null, stdout: scenario.startsWith('waits') ? 'done' : '' });
});
