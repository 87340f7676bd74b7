"""Draws the figures of the Chinese pages: those of the English ones, with their labels from a table.

python docs/tools/figures_zh.py        # needs dot, and a font with Chinese letters to measure boxes by
"""

import re
import subprocess
from pathlib import Path

FIGURES = Path(__file__).resolve().parents[1] / "figures"
FONT = "WenQuanYi Micro Hei, PingFang SC, Microsoft YaHei, Noto Sans CJK SC, sans-serif"
"""What draws them; the first is what boxes are measured by."""

LABELS = {
    # pipeline
    r"history\nclicks, searches, uploads, likes, dislikes": r"历史\n点击、搜索、上传、喜欢、不喜欢",
    r"query\ntexts, pictures, sounds": r"查询\n文字、图片、声音",
    r"interests\nclusters, weighed by kind and age": r"兴趣\n聚类，按行为种类和时间加权",
    r"sources\nvector search, counts, own sources": r"召回\n向量检索、共现计数、自有来源",
    "exact scores, filters": "精确打分、过滤",
    r"rerank\na trained version, or nothing": r"重排\n训练过的版本，也可以没有",
    r"policy\nseen, caps, diversity, slots, exploration": r"策略\n看过的、上限、多样性、名额、探索",
    r"list\nwith reasons and propensities": r"列表\n附理由和展示概率",
    # learning
    r"Recommend\nversion that serves": r"Recommend\n线上版本",
    r"event store\nevents, served lists,\npropensities": r"事件库\n事件、展示过的列表、\n展示概率",
    r"train\nrows that know no future": r"训练\n样本不含未来信息",
    r"gate\nbetter on held-out time,\ninterval above zero?": r"闸门\n在留出的时间段上更好，\n区间在零以上？",
    r"registry\nversions, pointer": r"版本库\n各版本、指针",
    "kept, not served": "保留，不上线",
    "impressions": "展示记录",
    "yes: promote": "是：上线",
    "no": "否",
    "within a second": "一秒之内",
    "  rollback": "  回滚",
    # indexing
    r"row of the\ncatalogue": r"目录中的\n一行",
    r"digest of contents\nand payload known?": r"内容与附加字段的\n摘要已知？",
    "skip": "跳过",
    "write the payload": "写入附加字段",
    r"decode\nin processes with limits": r"解码\n在受限的进程中",
    r"encode\nin batches": r"编码\n按批",
    "upsert": "写入",
    r"dead letters\nline, reason, remedy": r"死信\n行号、原因、补救办法",
    "all of it": "全部已知",
    "contents": "内容已知",
    "bad row": "坏行",
    "cannot be read": "无法读取",
    # reasons
    "like “snowy owl”": "喜欢“雪鸮”",
    "search “bird at night”": "搜索“夜里的鸟”",
    "upload hoot.ogg": "上传 hoot.ogg",
    r"result “tawny owl”\nscore 6.1": r"结果“灰林鸮”\n得分 6.1",
    "share .50: picture": "占 .50：图片",
    "share .20: text": "占 .20：文字",
    "share .30: sound": "占 .30：声音",
    # gap, recognition
    "cosines, as the encoders give them": "编码器给出的余弦",
    "standard deviations above unrelated content": "高出无关内容多少个标准差",
    "text – picture": "文字–图片",
    "text – text": "文字–文字",
    "unrelated pairs": "无关的对",
    "related pairs": "相关的对",
    "cosine of two pictures, or of two sounds": "两张图片或两段声音的余弦",
    "related contents end about here": "相关内容大约到此为止",
    "copies: resized,": "副本：缩放、",
    "cropped, JPEG, MP3": "裁剪、JPEG、MP3",
    "without recognition": "不做识别时",
    "similarity": "相似度",
}
SAME = {"0", "1", "d′"}

_LABEL = re.compile(r'(?<=label=")[^"]+(?=")|(?<=>)[^<>\n]+(?=</text>)')


def main() -> None:
    """Draw all of them into figures/zh/; a label that the table lacks is an error."""
    folder = FIGURES / "zh"
    folder.mkdir(exist_ok=True)
    drawn = {path.stem: path for path in FIGURES.glob("*.svg")} | {path.stem: path for path in FIGURES.glob("*.dot")}
    for name, path in drawn.items():
        text = _LABEL.sub(lambda found: found[0] if found[0] in SAME else LABELS[found[0]], path.read_text())
        text = re.sub(r"Helvetica(, Arial, sans-serif)?", FONT, text)
        if path.suffix == ".dot":
            done = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, text=True, check=True)
            text = done.stdout
        (folder / f"{name}.svg").write_text(text)


if __name__ == "__main__":
    main()
