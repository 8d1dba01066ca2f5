"""Articles in other languages: quotation marks and dates. They were written for this test."""

from __future__ import annotations

import pytest

from tests.samples import plain_article

# A blank line stands between two lines.
ARTICLES = {
    "de": """# Gespräche in Wien
3. Oktober 2025
Die Ministerinnen trafen sich am Freitag in Wien, um über Zölle auf Stahl und Holz zu verhandeln.
Die Sprecherin sagte: „Wir bleiben bis Sonntag.“
## Wie es weitergeht
Am 12. Oktober wollen die Delegationen einen Entwurf vorlegen, den beide Seiten prüfen.
""",
    "fr": """# Discussions à Genève
vendredi 3 octobre 2025
Les ministres se sont réunis vendredi à Genève pour parler des droits de douane sur l'acier.
Le porte-parole a répondu : « Nous restons jusqu'à dimanche. »
## La suite
Le 12 octobre, les délégations présenteront un projet que les deux parties examineront.
""",
    "es": """# Conversaciones en Madrid
3 de octubre de 2025
Los ministros se reunieron el viernes en Madrid para hablar de los aranceles sobre el acero.
El portavoz contestó: «Nos quedamos hasta el domingo.»
## Lo que viene
El 12 de octubre las delegaciones presentarán un borrador que ambas partes examinarán.
""",
    "zh": """# 部长会谈在维也纳举行
2025年10月3日
两国部长星期五在维也纳会面，讨论对钢铁和木材征收的关税，并同意在星期日之前拿出一份共同草案。
发言人回答说：“我们留到星期日。”
双方是否愿意在明年春天以前降低关税，并让边境上的企业重新自由买卖货物，现在还没有人能够回答？
## 下一步
代表团将于十月十二日提出草案，由双方审查。
""",
}


@pytest.mark.parametrize("language", ARTICLES)
def test_an_article_is_its_paragraphs_under_their_headings(language: str) -> None:
    lines = ARTICLES[language].splitlines()
    article = plain_article("a", "\n\n".join(lines))
    kinds = {segment.text: segment.kind for segment in article.segments}
    expected = {line: "heading" if line[0] == "#" else "body" for line in lines}
    assert kinds == expected | {lines[1]: "skipped"}
