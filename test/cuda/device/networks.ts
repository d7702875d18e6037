// Losses of the first training steps of small networks on a device, beside those of the CPU:
//   npx tsx test/cuda/device/networks.ts cuda:0 report.json [NAME]
// One line for each network, or for the one that is named; the exit status says whether all agree.
import { writeFileSync } from 'node:fs';
import { disagreement, lossesOf, networks } from './training.ts';

const [name = 'cuda:0', report, only] = process.argv.slice(2);
const rows: object[] = [];
for (const network of networks.filter((one) => only === undefined || one.name === only)) {
  const found = await lossesOf(name, network);
  const expected = await lossesOf('cpu', network);
  const message = disagreement(found, expected);
  if (message) process.exitCode = 1;
  rows.push({ network: network.name, found, expected, ...(message && { message }) });
  console.log(`${name}: ${network.name}: ${message ?? `${found.length} steps agree with the cpu`}`);
  if (report) writeFileSync(report, JSON.stringify({ device: name, networks: rows }));
}
