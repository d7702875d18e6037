// Claim: the planner's forecast is true: for every network the bytes that a training step is planned to need, those that
// the device takes for it, and those by which the process shrinks when they are given back, agree within 2 %.
// The batch is so large that the step takes at least 1 GB: the code of kernels, which goes with it, is little then.
// Usage: npx tsx bench/memory.ts [--model NAME ...] [--batch-size B] [--image-size S] [--device cpu]
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { modelNames } from '../lib/models/index.ts';
import { compared, type MemoryResult, measureMemory, plannedMemory } from './memory-run.ts';
import { writeRecord } from './record.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string', multiple: true, default: modelNames() },
    'batch-size': { type: 'string' },
    'image-size': { type: 'string' },
    device: { type: 'string', default: 'cpu' },
    alone: { type: 'boolean', default: false },
  },
});
const allowed = 0.02;
const tellingBytes = 1e9;
const leastBatch = 4;

if (values.alone) process.stdout.write(JSON.stringify(await measureMemory(optionsOf(values.model[0] as string))));
else await all(values.model);

async function all(models: readonly string[]): Promise<void> {
  const results = [];
  let file = '';
  for (const model of models) {
    results.push(inItsOwnProcess(model, await batchOf(model)));
    const missing = models.slice(results.length);
    file = await writeRecord('memory', { device: values.device, allowed, missing, results });
  }
  process.stdout.write(`record: ${file}\n`);
  process.exitCode = results.every(({ holds }) => holds) ? 0 : 1;
}

async function batchOf(model: string): Promise<number> {
  if (values['batch-size'] !== undefined) return Number(values['batch-size']);
  const planned = (batchSize: number) => plannedMemory({ ...optionsOf(model), batchSize });
  const perPicture = ((await planned(2 * leastBatch)) - (await planned(leastBatch))) / leastBatch;
  return Math.max(leastBatch, Math.ceil(tellingBytes / perPicture));
}

function inItsOwnProcess(model: string, batchSize: number) {
  const flags = ['--model', model, '--batch-size', String(batchSize), '--device', values.device, '--alone'];
  const size = values['image-size'] === undefined ? [] : ['--image-size', values['image-size']];
  const args = ['--import', 'tsx', fileURLToPath(import.meta.url), ...flags, ...size];
  const answer = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  const result = JSON.parse(answer) as MemoryResult;
  const { held, resident } = compared(result);
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
  process.stdout.write(
    `${model}, batch ${batchSize}: ${(result.plannedBytes / 1e6).toFixed(1)} MB planned; ` +
      `device ${percent(held)} off, process ${percent(resident)} off\n`,
  );
  return { ...result, held, resident, holds: Math.max(Math.abs(held), Math.abs(resident)) <= allowed };
}

function optionsOf(model: string) {
  const size = values['image-size'];
  const batchSize = Number(values['batch-size']);
  return { model, batchSize, device: values.device, ...(size === undefined ? {} : { imageSize: Number(size) }) };
}
