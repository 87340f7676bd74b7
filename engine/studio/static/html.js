/** What every component is written with: htm over Preact, signals and hooks. */
import htm from 'htm';
import { h } from 'preact';

export const html = htm.bind(h);
export { Fragment, render } from 'preact';
export { useEffect, useLayoutEffect, useMemo, useRef, useState, useCallback } from 'preact/hooks';
export { batch, computed, effect, signal, useComputed, useSignal, useSignalEffect } from '@preact/signals';
