/** `npm run soak:kill`: 200 kills, 20 on each folder, a fifth of them while the child opens and recovers. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SimRandom } from '../../engine/env/index.ts'
import { soak, soakOptions } from '../fault/soak-loop.ts'
import { KilledFolder } from './kill-run.ts'

const killsPerFolder = 20
const options = soakOptions(200)
const random = new SimRandom(options.seed)
const root = await mkdtemp(join(tmpdir(), 'varve-kill-'))
let victim = new KilledFolder(join(root, '0'))

await soak(options, Number.POSITIVE_INFINITY, async number => {
  if (victim.kills >= killsPerFolder) victim = new KilledFolder(join(root, String(number)))
  const fromReady = random.chance(0.8)
  const delayMs = fromReady ? random.below(200) : 40 + random.below(150)
  const problems = await victim.kill(random.uint32(), delayMs, fromReady)
  try {
    await victim.judge()
  } catch (error) {
    problems.push(String((error as Error).stack))
    console.log(`the folder is kept: ${victim.folder}`)
    victim = new KilledFolder(join(root, `${number}-next`))
  }
  return {
    problems,
    repeat: `seed ${options.seed}, kill ${number}, ${delayMs} ms ${fromReady ? 'after the first append' : 'after the start'}`,
  }
})
if (process.exitCode === 0) await rm(root, { recursive: true, force: true })
