import { Device } from '../program.ts';
import { defineCommand } from './command.ts';
import { jsonOption } from './common.ts';

export const command = defineCommand({
  name: 'devices',
  usage: 'node-cudnn devices [--json]',
  purpose: 'lists what can compute here, and what is missing for the rest',
  options: jsonOption,
  examples: ['node-cudnn devices', 'node-cudnn devices --json'],
  async run({ output }) {
    const devices = await Promise.all(Device.backends().map(describe));
    output.answer(devices, () => devices.map(line).join('\n'));
  },
});

interface Listed {
  readonly name: string;
  readonly available: boolean;
  readonly description?: string;
  readonly reason?: string | undefined;
}

/** A back end that is built may still find no device. */
async function describe({
  name,
  available,
  reason,
}: {
  name: string;
  available: boolean;
  reason?: string;
}): Promise<Listed> {
  if (!available) return { name, available, reason };
  try {
    const device = await Device.open(name);
    const { description } = device;
    await device.close();
    return { name, available, description };
  } catch (error) {
    return { name, available: false, reason: (error as Error).message };
  }
}

function line({ name, available, description, reason }: Listed): string {
  return `${name.padEnd(12)}${available ? description : `not available: ${reason}`}`;
}
