// A training run in a process of its own, for tests that kill, interrupt or starve it. Argument: JSON of ChildOptions.
import { adamw, schedules } from '../../lib/optim/index.ts';
import { Device } from '../../lib/program.ts';
import { type Callback, Trainer } from '../../lib/train/index.ts';
import { tinyRun } from './tiny.ts';

export interface ChildOptions {
  readonly output: string;
  readonly epochs: number;
  readonly resume?: string;
  readonly overwrite?: boolean;
  readonly recoveryInterval?: number;
  readonly stepsPerCall?: number;
  readonly seed?: number;
  /** AdamW and averages of the weights. */
  readonly adaptive?: boolean;
  readonly device?: string;
  /** The simulated device is lost in this epoch. */
  readonly lostIn?: number;
}

const { adaptive, lostIn, ...options } = JSON.parse(process.argv[2] as string) as ChildOptions;
const more = adaptive ? { optimizer: adamw({ weightDecay: 0.01 }), emaDecay: 0.9 } : {};
const announce: Callback = { onTrainBegin: () => void process.stdout.write('training\n') };
const lose: Callback = {
  async onEpochBegin(epoch) {
    if (epoch !== lostIn) return;
    process.env.NODE_CUDNN_SIMULATION = 'fail=2';
    await Device.open('cuda:7').catch(() => undefined); // counts the devices; the next call waits for an event
  },
};
const trainer = await Trainer.create(
  tinyRun({ ...options, ...more, schedule: schedules.constant(0.01), callbacks: [announce, lose] }),
);
try {
  const begin = performance.now();
  const { status, step } = await trainer.fit();
  process.stdout.write(`${JSON.stringify({ status, step, ms: performance.now() - begin })}\n`);
} finally {
  await trainer.close();
}
