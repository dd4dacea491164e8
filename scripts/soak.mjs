/**
 * Runs the model tests (of logs, of stores, of topics, of flows) or the crash tests for as long as asked, in one process per core, and says how many seeds or
 * crash points passed.
 *
 *   npm run soak:model -- --seeds 1000          so many seeds
 *   npm run soak:model -- --seconds 60          as many as fit
 *   npm run soak:store -- --seeds 1000          the same for stores
 *   npm run soak:stream -- --seeds 1000         histories of topics, judged by the checker
 *   npm run soak:pipelines -- --seeds 1000      random pipelines of flows beside a naive interpreter
 *   npm run soak:crash -- --points 10000        so many crash points of a program over logs
 *   npm run soak:store-crash -- --points 10000  of one over stores
 *   … --start 5000                              from this seed on (default 1000)
 *   … --workers 4                               processes (default: one per core)
 *
 * Each failure is printed with its seed and the end of its trace; `VARVE_SEED=<seed> npx vitest run test/model/model` (store-model, topic-history, log-history, pipelines, or
 * test/crash/crash, store-crash) replays it. A seed that runs longer than a minute counts as a failure too: something waits for ever.
 */
import { fork, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const compiled = new URL('../reports/soak/', import.meta.url)
const seedMs = 60_000
const pointsPerSeed = 200
const failuresShown = 5

/** @param {string} path */
const load = path => import(new URL(path, compiled).href)

/** @type {Record<string, () => Promise<(seed: number) => Promise<number>>>} */
const kinds = {
  model: async () => {
    const { runModel } = await load('test/model/model.js')
    return async seed => (await runModel(seed)) && 1
  },
  store: async () => {
    const { runStoreModel } = await load('test/model/store-model.js')
    return async seed => (await runStoreModel(seed)) && 1
  },
  stream: async () => {
    const { checkLogHistory } = await load('test/model/log-history.js')
    const { checkTopicHistory } = await load('test/model/topic-history.js')
    // Every third seed goes to the logs below the topics.
    return async seed => (await (seed % 3 === 0 ? checkLogHistory(seed) : checkTopicHistory(seed))) && 1
  },
  pipelines: async () => {
    const { runPipelines } = await load('test/model/pipelines.js')
    return async seed => (await runPipelines(seed)).runs
  },
  crash: async () => {
    const { runCrashPoints } = await load('test/crash/crash-points.js')
    return async seed => (await runCrashPoints(seed, { pointsMax: pointsPerSeed })).points
  },
  'store-crash': async () => {
    const { runStoreCrashPoints } = await load('test/crash/store-crash-points.js')
    return async seed => (await runStoreCrashPoints(seed, { pointsMax: pointsPerSeed })).points
  },
}

/** In a child: runs the seeds it is sent, one at a time. */
async function serve() {
  const run = await kinds[process.argv[3] ?? 'model']?.()
  process.on('message', async seed => {
    try {
      const count = await run?.(seed)
      process.send?.({ seed, count })
    } catch (error) {
      process.send?.({ seed, count: 0, failure: error instanceof Error ? error.message : String(error) })
    }
  })
  process.send?.({ ready: true })
}

function compile() {
  mkdirSync(compiled, { recursive: true })
  const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url))
  const project = fileURLToPath(new URL('../test/tsconfig.soak.json', import.meta.url))
  const { status } = spawnSync(process.execPath, [tsc, '-p', project], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seeds: { type: 'string' },
      points: { type: 'string' },
      seconds: { type: 'string' },
      start: { type: 'string', default: '1000' },
      workers: { type: 'string', default: String(cpus().length) },
    },
  })
  const kind = positionals[0] ?? 'model'
  if (!(kind in kinds)) throw new TypeError(`the kind must be one of ${Object.keys(kinds).join(', ')}, got ${kind}`)
  const isCrash = kind.endsWith('crash')
  const what = isCrash ? 'crash points' : 'seeds'
  const wanted = Number(values.points ?? values.seeds ?? (values.seconds === undefined ? (isCrash ? 10_000 : 500) : Infinity))
  const until = values.seconds === undefined ? Infinity : Date.now() + Number(values.seconds) * 1000
  compile()
  let next = Number(values.start)
  let passed = 0
  let failed = 0
  let running = 0
  const startedAt = Date.now()
  const report = () =>
    console.log(`${passed} ${what} passed, ${failed} failed, next seed ${next}, ${Math.round((Date.now() - startedAt) / 1000)} s`)
  const progress = setInterval(report, 5000)

  /** @param {number} seed @param {string} text */
  const fail = (seed, text) => {
    failed++
    if (failed <= failuresShown) console.log(`\n${text}\n`)
    else console.log(`seed ${seed} failed: ${text.split('\n')[0]}`)
  }

  const work = () => {
    const child = fork(fileURLToPath(import.meta.url), ['serve', kind])
    running++
    let current = -1
    /** @type {NodeJS.Timeout | undefined} */
    let timer
    const give = () => {
      clearTimeout(timer)
      if (Date.now() >= until || passed + failed >= wanted) {
        child.disconnect()
        return
      }
      current = next++
      timer = setTimeout(() => child.kill('SIGKILL'), seedMs)
      child.send(current)
    }
    child.on('message', message => {
      const { ready, seed, count, failure } = /** @type {any} */ (message)
      if (ready !== true) {
        if (failure === undefined) passed += count
        else fail(seed, failure)
        current = -1
      }
      give()
    })
    child.on('exit', () => {
      clearTimeout(timer)
      running--
      if (current >= 0) {
        fail(current, `seed ${current} failed: it did not end within ${seedMs / 1000} s, or its process died`)
        work()
      } else if (running === 0) {
        clearInterval(progress)
        report()
        console.log(`${passed} passed, ${failed} failed`)
        process.exitCode = failed === 0 ? 0 : 1
      }
    })
  }
  for (let i = 0; i < Math.max(1, Number(values.workers)); i++) work()
}

if (process.argv[2] === 'serve') await serve()
else main()
