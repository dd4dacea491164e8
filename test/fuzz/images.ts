/**
 * Folders to damage: disks that hold every kind of file, at several moments of a database's life, each with all states it went through.
 * A 'closed' image ends with a closing frame, which proves everything before it; an 'open' one is what a killed process leaves, whose last
 * commit nothing proves.
 */
import type { SimDisk } from '../../engine/env/index.ts'
import type { OpenOptions } from '../../engine/index.ts'
import type { Model } from '../fault/model.ts'
import { folder, Program, type StoreWrite, smallOptions } from '../fault/program.ts'

export interface Image {
  readonly name: string
  readonly disk: SimDisk
  readonly model: Model
  readonly isClosed: boolean
  /** Paths of all files. */
  readonly paths: readonly string[]
}

export const imageOptions: OpenOptions = { ...smallOptions, commitLogFileBytesFirst: 8192, commitLogFileBytes: 16384, frameBytesMax: 4096 }

export async function makeImages(seed: number): Promise<Image[]> {
  const program = new Program(seed, imageOptions)
  const images: Image[] = []
  const keep = async (name: string, isClosed: boolean): Promise<void> => {
    const problems = [...program.problems, ...program.errors.map(String)]
    if (problems.length > 0) throw new Error(`making the image of ${name}: ${problems[0]}`)
    const disk = program.disk.fork(seed)
    disk.processKill()
    images.push({ name, disk, model: program.model.copy(), isClosed, paths: pathsOf(disk) })
  }
  const open = async (): Promise<void> => {
    await program.open()
    await program.define()
  }
  const append = async (times: number, padding: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      await program.append('sync', { log: 'events', count: 2, padding }, { log: 'table', count: 1 })
      await program.append('sync', { log: 'latest', count: 3 }, { log: 'feed', count: 1, padding })
      await program.append('sync', { log: 'raft', count: 1 })
    }
  }
  const items = (from: number, to: number): StoreWrite[] =>
    Array.from({ length: to - from }, (_, i) => ({ type: 'put', key: from + i, padding: (i * 37) % 150 }))
  await open()
  await append(1, 20)
  await keep('a young log', false)
  await program.append('sync', { log: 'events', count: 2, padding: 2500 }, { log: 'feed', count: 1, padding: 500 })
  await program.append('sync', { log: 'events', count: 1 })
  await keep('a staged commit', false)
  await program.close()
  await keep('a staged commit, closed', true)
  await open()
  await append(2, 10)
  await program.setMetadata('events', 'note')
  await program.maintain('seal')
  await append(1, 100)
  await keep('a segment and a tail', false)
  for (let i = 0; i < 8; i++) {
    await append(1, 5)
    await program.maintain('seal')
  }
  await program.trim('events', 5)
  await program.truncate('raft', program.model.log('raft').endOffset - 1)
  await append(1, 30)
  await keep('many segments', false)
  await program.maintain('consolidate')
  await program.compact('latest')
  await append(2, 200)
  await keep('merged segments', false)
  await program.close()
  await keep('merged segments, closed', true)
  await open()
  for (let i = 0; i < 4; i++) {
    await program.store('sync', items(i * 6, i * 6 + 20))
    await program.store('sync', [{ type: 'delRange', from: i * 6, to: i * 6 + 3 }, { type: 'del', key: 12 }, put(50 + i, true)], true)
    await program.maintain('seal')
  }
  await program.store('sync', [...items(60, 64), { type: 'delRange', from: 8, to: 9 }])
  await keep('a store', false)
  await program.compactStore('store')
  await program.compactStore('index')
  await program.store('sync', items(70, 72), true)
  await program.check()
  await keep('a compacted store', false)
  await program.close()
  await keep('a compacted store, closed', true)
  return images
}

function put(key: number, expires: boolean): StoreWrite {
  return { type: 'put', key, ...(expires ? { expires: true } : {}) }
}

function pathsOf(disk: SimDisk): string[] {
  const paths: string[] = []
  const visit = (path: string): void => {
    for (const name of disk.tree.folder({ kind: 'list', path }).names.keys()) {
      const child = `${path}/${name}`
      if (name === 'catalog') visit(child)
      else paths.push(child)
    }
  }
  visit(folder)
  return paths.sort()
}
