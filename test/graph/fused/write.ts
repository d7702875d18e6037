// Records the fused graphs anew, after a change of fusion or of the networks: npx tsx test/graph/fused/write.ts
import { writeFileSync } from 'node:fs';
import { fusedText, modes, networks, recordOf } from './graphs.ts';

for (const name of networks) for (const mode of modes) writeFileSync(recordOf(name, mode), fusedText(name, mode));
