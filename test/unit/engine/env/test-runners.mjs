/** Runners for executor and catalog tests; the same ones run in a worker thread and inline in simulation. */

/**
 * Plain classes differ between dist/ and the sources, so the error class is handed in.
 * @param {new (code: any, message: string, options?: object) => Error} VarveError
 */
export function testRunners(VarveError) {
  return {
    add: async ({ left, right }) => left + right,
    progress: async (_, place) => {
      for (let done = 1; done <= 3; done++) place.report(done, 3)
      return 'reported'
    },
    fail: async ({ code }) => {
      throw new VarveError(code, 'told to fail', {
        cause: Object.assign(new Error('the reason'), { code: 'EIO' }),
        details: { file: 'a.seg', position: 42, strange: () => 1 },
      })
    },
    throwPlain: () => {
      throw new RangeError('not a varve error')
    },
    uncloneable: async () => () => 1,
    fill: async ({ shared, value }) => {
      new Uint8Array(shared).fill(value)
    },
    writeFile: async ({ path, bytes }, place) => {
      const file = await place.files.open(path, 'create')
      await file.write(bytes, 0)
      await file.close()
      return place.clock.monotonic() >= 0
    },
    changeCatalog: async ({ folder, key, value }, place) => {
      const view = await place.catalogs.open(folder)
      view.change({ puts: [{ key, value }], deletes: [] })
      const count = view.rows().length
      await view.close()
      return count
    },
    wait: async ({ path }, place) => {
      for (let round = 0; round < 200; round++) if ((await place.files.stat(path)) !== undefined) return round
      return 'never came'
    },
  }
}
