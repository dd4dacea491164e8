/** The little of two packages that bench/ and examples/ draw with; neither needs its complete types. */

declare module 'cli-progress' {
  interface BarOptions {
    /** Placeholders in braces: bar, value, total, duration_formatted, eta_formatted, and the names of the payload. */
    format?: string
    /** Remove the bar when it stops. */
    clearOnComplete?: boolean
    hideCursor?: boolean
    /** How the placeholders `value` and `total` are written. */
    formatValue?: (value: number, options: BarOptions, type: string) => string
  }
  class SingleBar {
    constructor(options: BarOptions, preset?: object)
    start(total: number, value: number, payload?: object): void
    update(value: number, payload?: object): void
    stop(): void
  }
  const progress: { SingleBar: typeof SingleBar; Presets: { shades_classic: object } }
  export = progress
}

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
