// Trains variants of a network side by side through the command line and records their learning, epoch by epoch.
// Claims that it serves: ResNet-56 learns better than 56 layers without shortcuts (He et al. 2015, figure 6); BN-x5
// reaches a loss in fewer steps than its baseline (Ioffe and Szegedy 2015, figure 2); a 19-layer highway net learns.
//   npx tsx bench/variants.ts --name degradation --data FOLDER --flags "--epochs 3 --recipe cifar" \
//     --variant "plain-56: --model cifar-plain56" --variant "resnet-56: --model cifar-resnet56"
//   npx tsx bench/variants.ts --name highway --data FOLDER --variant "highway-19: --model highway19 --epochs 3"
//   npx tsx bench/variants.ts --name bn-x5 --data FOLDER --flags "--model inception-v2 --epochs 2" \
//     --variant "baseline: --recipe bn-baseline" --variant "x5: --recipe bn-x5"
import { execFileSync } from 'node:child_process';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeRecord } from './record.ts';

interface Row {
  readonly epoch: number;
  readonly step: number;
  readonly trainLoss: number;
  readonly testLoss: number;
  readonly testAccuracy: number;
}

const { values } = parseArgs({
  options: {
    name: { type: 'string' },
    data: { type: 'string', default: 'cifar10-mini' },
    flags: { type: 'string', default: '' },
    variant: { type: 'string', multiple: true, default: [] },
    output: { type: 'string', default: join('runs', 'variants') },
  },
});
if (values.name === undefined || values.variant.length < 1) {
  throw new Error('variants: give --name NAME and at least one --variant "LABEL: --flag value ..."');
}

const shared = words(values.flags);
const variants = values.variant.map(train);
const final = Object.fromEntries(variants.map(({ label, epochs }) => [label, epochs.at(-1)]));
const figures = { data: basename(values.data), flags: values.flags, variants, final };
const file = await writeRecord(`variants-${values.name}`, figures);
process.stdout.write(`${JSON.stringify(final, null, 2)}\nrecord: ${file}\n`);

/** Variants run one after the other: they would take each other's cores. */
function train(variant: string): { label: string; flags: string; epochs: Row[] } {
  const [, label, flags] = /^([\w-]+):\s*(.*)$/.exec(variant) ?? [];
  if (label === undefined || flags === undefined)
    throw new Error(`variants: '${variant}' is not "LABEL: --flag value"`);
  const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
  const place = ['--data', values.data, '--output', join(values.output, `${values.name}-${label}`), '--overwrite'];
  const args = [main, 'train', ...shared, ...words(flags), ...place, '--json'];
  const answer = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  const { history } = JSON.parse(answer) as { history: Row[] };
  const epochs = history.map(({ epoch, step, trainLoss, testLoss, testAccuracy }) => {
    return { epoch, step, trainLoss, testLoss, testAccuracy };
  });
  return { label, flags, epochs };
}

function words(flags: string): string[] {
  return flags.split(/\s+/).filter(Boolean);
}
