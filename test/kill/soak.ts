/**
 * `npm run soak:kill`: 200 kills, a fifth of them while the child opens and recovers; every fourth one of a process that uses topics. 20 on each folder, 5 on each
 * with topics.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SimRandom } from '../../engine/env/index.ts'
import { soak, soakOptions } from '../fault/soak-loop.ts'
import { KilledFolder } from './kill-run.ts'
import { KilledTopics } from './topics-run.ts'

const killsPerFolder = 20
const killsPerTopics = 5
const options = soakOptions(200)
const random = new SimRandom(options.seed)
const root = await mkdtemp(join(tmpdir(), 'varve-kill-'))
let victim = new KilledFolder(join(root, '0'))
let topics = new KilledTopics(join(root, 'topics-0'))

await soak(options, Number.POSITIVE_INFINITY, async number => {
  if (number % 4 === 3) return await killTopics(number)
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

async function killTopics(number: number): Promise<{ readonly problems: string[]; readonly repeat: string }> {
  const fromReady = random.chance(0.8)
  const delayMs = fromReady ? random.below(300) : 60 + random.below(200)
  const problems = await topics.kill(random.uint32(), delayMs, fromReady)
  const repeat = `seed ${options.seed}, kill ${number} of topics, ${delayMs} ms ${fromReady ? 'after the first send' : 'after the start'}`
  if (topics.kills < killsPerTopics && problems.length === 0) return { problems, repeat }
  try {
    const { failures } = await topics.judge()
    if (failures !== '') problems.push(failures)
  } catch (error) {
    problems.push(String((error as Error).stack))
  }
  if (problems.length > 0) console.log(`the folder is kept: ${topics.folder}`)
  topics = new KilledTopics(join(root, `topics-${number}`))
  return { problems, repeat }
}

if (process.exitCode === 0) await rm(root, { recursive: true, force: true })
