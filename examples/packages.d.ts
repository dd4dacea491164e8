/** The little of a package that bench/ and examples/ draw tables with. */

declare module 'cli-table3' {
  interface TableOptions {
    head?: string[]
    colAligns?: ('left' | 'right')[]
    style?: { head?: string[]; border?: string[]; compact?: boolean }
  }
  class Table extends Array<string[]> {
    constructor(options?: TableOptions)
    override toString(): string
  }
  export = Table
}
