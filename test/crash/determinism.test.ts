/** Goal: a seed replays: the same program on the same machine leaves the same bytes in the same files, or no failure could be looked into. */
import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { step } from '../support/operations.ts'
import { folder, World } from '../support/world.ts'

/** Every file with a hash of what programs read in it. */
async function filesAfter(seed: number): Promise<{ files: string[]; trace: string[] }> {
  const world = new World(seed)
  const files: string[] = []
  await world.open()
  for (let i = 0; i < 60; i++) await world.run(() => step(world))
  await world.run(() => world.database.flush())
  for (const path of world.environment.files.listSync(folder).map(name => `${folder}/${name}`)) {
    if (world.environment.files.statSync(path)?.isDirectory === true) continue
    const file = world.environment.files.openSync(path, 'read')
    const bytes = new Uint8Array(file.sizeSync())
    file.readSync(bytes, 0)
    file.closeSync()
    files.push(`${path} ${createHash('sha256').update(bytes).digest('hex')}`)
  }
  return { files, trace: world.trace }
}

for (const seed of [3, 14, 159]) {
  it(`seed ${seed} leaves the same bytes twice`, async () => {
    const first = await filesAfter(seed)
    const second = await filesAfter(seed)
    expect(first.files.length).toBeGreaterThan(1)
    expect(second).toEqual(first)
  })
}
