/**
 * A cluster of three replicas under one scheduler, and everything that makes its life hard: commands from clients everywhere, crashes at drawn disk
 * operations, power loss of one or all machines, killed processes, failing writes, cut links. Then the faults end, and it must converge.
 */
import { createHash } from 'node:crypto'
import { loadChecksums } from '../../../engine/codec/xxh64.ts'
import { SimRandom, SimScheduler } from '../../../engine/env/index.ts'
import type { LocalLog } from '../../../engine/log/log.ts'
import { type Accounts, type Command, encodeCommands } from './accounts.ts'
import { check, describeDatabase, hashOfDisk, Judge } from './judge.ts'
import { calmNetwork, SimNetwork } from './network.ts'
import { ClusterNode } from './node.ts'
import { drawPlan, type Plan } from './plan.ts'

/** Virtual time in which a calm cluster must agree. */
const convergeMs = 15_000
const traceLines = 60

/** What a run came to; equal for equal seeds. */
export interface Outcome {
  readonly seed: number
  readonly plan: Plan
  /** Of every line that was traced. */
  readonly trace: string
  readonly disks: readonly string[]
  readonly counters: Readonly<Record<string, number>>
}

export class Cluster {
  readonly #seed: number
  readonly #random: SimRandom
  readonly #plan: Plan
  readonly #scheduler: SimScheduler
  readonly #network: SimNetwork
  readonly #nodes: ClusterNode[]
  readonly #judge = new Judge()
  readonly #traceHash = createHash('sha1')
  readonly #lastLines: string[] = []
  #failure: unknown
  #rough = true
  #commands = 0
  readonly #counters = { proposed: 0, acknowledged: 0, unknown: 0, powerLosses: 0, kills: 0, splits: 0, failedWrites: 0 }

  constructor(seed: number) {
    this.#seed = seed
    this.#random = new SimRandom(seed)
    this.#plan = drawPlan(this.#random)
    this.#scheduler = new SimScheduler(this.#random.fork())
    this.#network = new SimNetwork(this.#scheduler, this.#random.fork(), (from, to, message) => this.#nodes[to]?.receive(from, message))
    this.#nodes = this.#plan.nodes.map(
      id =>
        new ClusterNode({
          id,
          plan: this.#plan,
          scheduler: this.#scheduler,
          random: this.#random.fork(),
          judge: this.#judge,
          send: (from, to, message) => this.#network.send(from, to, message),
          trace: line => this.#trace(line),
          fail: error => this.#fail(error),
          died: node => this.#restartLater(node),
        }),
    )
  }

  async run(): Promise<Outcome> {
    await loadChecksums() // loads in real time, which must not fall into the first run's virtual time
    try {
      await this.#scheduler.drive(
        () => this.#live(),
        () => this.#failure !== undefined,
      )
    } catch (error) {
      const cause = this.#failure ?? error
      const message = cause instanceof Error ? cause.message : String(cause)
      throw new Error(`seed ${this.#seed}: ${message}\n${JSON.stringify(this.#plan)}\n${this.#lastLines.join('\n')}`, { cause })
    }
    const counters: Record<string, number> = { ...this.#counters, ...this.#network.counters, terms: this.#judge.terms }
    for (const node of this.#nodes)
      for (const [name, value] of Object.entries(node.counters)) counters[name] = (counters[name] ?? 0) + value
    return {
      seed: this.#seed,
      plan: this.#plan,
      trace: this.#traceHash.digest('hex'),
      disks: this.#nodes.map(node => hashOfDisk(node.disk)),
      counters,
    }
  }

  async #live(): Promise<void> {
    this.#network.faults = this.#plan.network
    for (const node of this.#nodes) node.start()
    this.#every(this.#plan.commandEveryMs, () => this.#command())
    this.#every(this.#plan.faultEveryMs, () => this.#fault())
    await this.#sleep(this.#plan.roughMs)
    this.#rough = false
    this.#calm()
    await this.#converge()
    this.#judgeNow()
    // The same once more from the disks alone.
    for (const node of this.#nodes) await node.close()
    this.#trace('closed')
    for (const node of this.#nodes) node.start()
    await this.#converge()
    this.#judgeNow()
    for (const node of this.#nodes) await node.close()
  }

  #judgeNow(): void {
    for (const node of this.#nodes) if (node.db !== undefined) this.#trace(`${node.id} ${describeDatabase(node.db)}`)
    this.#judge.atEnd(
      this.#nodes.map(node => node.log as LocalLog),
      this.#nodes.map(node => node.machine as Accounts),
    )
  }

  #sleep(durationMs: number): Promise<void> {
    return new Promise(resolve => this.#scheduler.after(durationMs, resolve))
  }

  #every(meanMs: number, run: () => void): void {
    if (!this.#rough) return
    this.#scheduler.after(meanMs * (0.2 + 1.6 * this.#random.fraction()), () => {
      if (!this.#rough) return
      run()
      this.#every(meanMs, run)
    })
  }

  #trace(text: string): void {
    const line = `${this.#scheduler.nowMs.toFixed(3)} ${text}`
    this.#traceHash.update(`${line}\n`)
    this.#lastLines.push(line)
    if (this.#lastLines.length > traceLines) this.#lastLines.shift()
  }

  #fail(error: unknown): void {
    this.#failure ??= error
  }

  // --- clients -----------------------------------------------------------------------------------------------------------------------

  /** Any node is asked; those that do not lead say nothing. */
  #command(): void {
    const { commandBytesMax, noiseBytesMax } = this.#plan
    const random = this.#random
    for (const node of this.#nodes) {
      if (noiseBytesMax > 0 && random.chance(0.3)) {
        const value = new Uint8Array(random.below(noiseBytesMax)).fill(110)
        node.run(db => void db.log('noise').appendRecords([{ value }], { durability: random.chance(0.5) ? 'none' : 'sync' }))
      }
      if (node.replica?.isLeader !== true) continue
      // Now and then more than a frame holds.
      const count = random.chance(0.03) ? 30 : 1 + random.below(3)
      const commands: Command[] = Array.from({ length: count }, () => ({
        account: `a${random.below(8)}`,
        id: ++this.#commands,
        delta: random.below(20) - 8,
      }))
      this.#propose(node, commands, 8 + random.below(commandBytesMax))
    }
  }

  #propose(node: ClusterNode, commands: readonly Command[], bytes: number): void {
    node.run((_db, replica) => {
      const { kind, compression } = this.#plan
      const proposal = replica.propose(encodeCommands(kind, commands, bytes), { compression })
      if (proposal === undefined) return
      this.#counters.proposed++
      proposal.committed.then(
        () => {
          this.#counters.acknowledged++
          this.#judge.acknowledged.push({ baseOffset: proposal.baseOffset, ids: commands.map(command => command.id) })
        },
        () => {
          this.#counters.unknown++
        },
      )
    })
  }

  // --- faults ------------------------------------------------------------------------------------------------------------------------

  #fault(): void {
    const random = this.#random
    const node = this.#nodes[random.below(this.#nodes.length)] as ClusterNode
    const drawn = random.below(10)
    if (drawn < 3) this.#crashAtOperation(node)
    else if (drawn < 4) this.#kill(node, 'process')
    else if (drawn < 5 && random.chance(0.4)) for (const each of this.#nodes) this.#kill(each, 'power')
    else if (drawn < 6) this.#failWrites(node)
    else if (drawn < 9) this.#split(node)
    else this.#network.heal()
  }

  /** Some operations from now, of a drawn kind: so that crashes fall into flushes and renames, not only into the many writes of frames. */
  #crashAtOperation(node: ClusterNode): void {
    const place = ['', 'segment-', 'spare-', 'staged-', 'catalog', '.tmp'][this.#random.below(6)] as string
    let left = this.#random.below(place === '' ? 30 : 4)
    const unhook = node.disk.onOperation(({ path, to }) => {
      if (!path.includes(place) && to?.includes(place) !== true) return
      if (left-- > 0) return
      unhook()
      this.#kill(node, 'power')
    })
    this.#scheduler.after(400, unhook)
  }

  #kill(node: ClusterNode, how: 'power' | 'process'): void {
    if (!this.#rough || node.isDown) return
    if (how === 'power') this.#counters.powerLosses++
    else this.#counters.kills++
    node.kill(how)
    this.#restartLater(node)
  }

  #restartLater(node: ClusterNode): void {
    const { starts } = node.counters
    this.#scheduler.after(this.#rough ? 5 + this.#random.below(300) : 5, () => {
      if (node.isDown && node.counters.starts === starts) node.start()
    })
  }

  #failWrites(node: ClusterNode): void {
    const isCatalog = this.#random.chance(0.2)
    const path = isCatalog ? 'catalog' : /commit-|segment-|staged-|spare-/
    const skip = this.#random.below(isCatalog ? 3 : 10)
    const fault = node.disk.addFault({ kinds: ['write', 'sync'], path, code: 'EIO', skip, partial: true })
    this.#scheduler.after(isCatalog ? 600 : 200, () => {
      this.#counters.failedWrites += fault.fired
      fault.remove()
    })
  }

  /** One direction, or a node alone. */
  #split(node: ClusterNode): void {
    this.#counters.splits++
    const oneWay = this.#random.chance(0.3)
    for (const peer of this.#nodes) {
      if (peer === node) continue
      this.#network.cut(node.id, peer.id)
      if (!oneWay) this.#network.cut(peer.id, node.id)
    }
    this.#scheduler.after(100 + this.#random.below(900), () => this.#network.heal())
  }

  #calm(): void {
    this.#trace('calm')
    this.#network.heal()
    this.#network.faults = calmNetwork
    for (const node of this.#nodes) {
      node.disk.clearFaults()
      if (node.isDown) node.start()
    }
  }

  /** A last command is acknowledged, and all high watermarks stand at the leader's end. */
  async #converge(): Promise<void> {
    const until = this.#scheduler.nowMs + convergeMs
    const known = this.#judge.acknowledged.length
    for (let round = 0; ; round++) {
      const ends = this.#nodes.map(node => (node.log === undefined ? -1 : node.log.highWatermark - node.log.endOffset))
      const marks = new Set(this.#nodes.map(node => node.log?.highWatermark))
      if (this.#judge.acknowledged.length > known && ends.every(end => end === 0) && marks.size === 1) return
      const state = this.#nodes.map(node => {
        const { log, db } = node
        return log === undefined
          ? 'down'
          : `${log.highWatermark}/${log.durableOffset}/${log.endOffset} ${db?.stats().commitLog.stalled ? 'stalled' : ''}`
      })
      check(this.#scheduler.nowMs < until, 'a calm cluster must converge', state)
      if (round % 20 === 0 && this.#judge.acknowledged.length === known) {
        for (const node of this.#nodes)
          if (node.replica?.isLeader === true) this.#propose(node, [{ account: 'end', id: ++this.#commands, delta: 1 }], 20)
      }
      await this.#sleep(10)
    }
  }
}
