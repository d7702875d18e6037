import { Device } from '../program.ts';
import { defineCommand } from './command.ts';
import { jsonOption } from './common.ts';

export const command = defineCommand({
  name: 'doctor',
  usage: 'node-cudnn doctor [options]',
  purpose: 'says whether CUDA works here, what was found where, and what mends the rest',
  options: {
    device: { type: 'text', value: 'NAME', description: 'cuda:0 (default), cuda:1 ...' },
    libraries: { type: 'text', value: 'FOLDER', description: 'where cuDNN and cuBLASLt lie (default: searched)' },
    ...jsonOption,
  },
  examples: ['node-cudnn doctor', 'node-cudnn doctor --json', 'node-cudnn doctor --libraries /opt/cudnn/lib'],
  async run({ values, output }) {
    const device = values.device ?? 'cuda:0';
    const options = values.libraries === undefined ? {} : { libraries: values.libraries };
    const findings: Found[] = [...Device.findings(device, options)];
    if (findings.every(({ serves }) => serves)) findings.push(await opening(device, options));
    const works = findings.every(({ serves }) => serves);
    output.answer({ device, works, findings }, () =>
      [...findings.map(line), `${device} ${works ? 'works' : 'does not work'}`].join('\n'),
    );
    if (!works) process.exitCode = 1;
  },
});

interface Found {
  readonly what: string;
  readonly found: string;
  readonly serves: boolean;
}

async function opening(name: string, options: { libraries?: string }): Promise<Found> {
  try {
    const device = await Device.open(name, options);
    const { description } = device;
    await device.close();
    return { what: name, found: description, serves: true };
  } catch (error) {
    return { what: name, found: (error as Error).message, serves: false };
  }
}

function line({ what, found, serves }: Found): string {
  return `${serves ? 'ok     ' : 'MISSING'} ${what.padEnd(16)}${found.replaceAll('\n', `\n${' '.repeat(24)}`)}`;
}
