// Losses of ten training steps of a small network on a device, beside those of the CPU:
//   npx tsx test/cuda/device/networks.ts cuda:0 report.json
import { writeFileSync } from 'node:fs';
import { stepInputs, trainingProgram } from '../../../lib/cli/training-program.ts';
import { Device } from '../../../lib/program.ts';

const steps = 10;
const batchSize = 16;
// Relative; ten steps at a learning rate of 0.01 carry the rounding of float32 sums no further.
const allowed = 1e-3;

async function losses(name: string): Promise<number[]> {
  const device = await Device.open(name);
  try {
    const training = await trainingProgram(device, {
      model: 'cifar-resnet20',
      batchSize,
      imageSize: 32,
      numClasses: 10,
      inChannels: 3,
      ampDtype: 'float32',
    });
    await training.program.run(steps, stepInputs(training, batchSize, steps));
    return Array.from(await training.state.read('ring.loss')).slice(0, steps);
  } finally {
    await device.close();
  }
}

const [name = 'cuda:0', report] = process.argv.slice(2);
const [expected, found] = [await losses('cpu'), await losses(name)];
const errors = expected.map((loss, i) => Math.abs((found[i] as number) - loss) / loss);
const worst = errors.reduce((most, error) => Math.max(error, most), 0);
const agrees = worst <= allowed;
if (report)
  writeFileSync(report, JSON.stringify({ device: name, network: 'cifar-resnet20', expected, found, worst, agrees }));
console.log(
  `${name}: losses of ${steps} steps ${agrees ? 'agree' : 'do NOT agree'} with the cpu, worst ${worst.toExponential(2)}`,
);
process.exitCode = agrees ? 0 : 1;
