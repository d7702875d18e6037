// Losses of the first training steps of small networks on a device, beside those of the CPU:
//   npx tsx test/cuda/device/networks.ts cuda:0 report.json [--unmeasured] [NAME ...]
// One line for each network, or for those whose names begin so; the exit status says whether all agree. --unmeasured: with
// the libraries' first proposals.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { disagreement, lossesOf, networks } from './training.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { unmeasured: { type: 'boolean' } } });
const [name = 'cuda:0', report, ...chosen] = positionals;
const rows: object[] = [];
for (const network of networks) {
  if (chosen.length > 0 && !chosen.some((begin) => network.name.startsWith(begin))) continue;
  const found = await lossesOf(name, network, { measureEngines: !values.unmeasured });
  const expected = await lossesOf('cpu', network);
  const message = disagreement(found, expected);
  if (message) process.exitCode = 1;
  rows.push({ network: network.name, found, expected, ...(message && { message }) });
  console.log(`${name}: ${network.name}: ${message ?? `${found.length} steps agree with the cpu`}`);
  if (report) writeFileSync(report, JSON.stringify({ device: name, networks: rows }));
}
