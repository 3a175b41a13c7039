"""Files of decoded payloads, which are nobody else's."""

import pytest
from temporal_payloads._operate.inspection.inspection import Inspected
from temporal_payloads._operate.inspection.saving import INDEX, Folder
from temporalio.api.common.v1 import Payload

PAYLOAD = Payload(metadata={"encoding": b"json/plain"}, data=b'"secret"')
ONE = Inspected(1, 1, "Test", None, "input[0]", 9)


async def test_a_file_that_is_there_and_open_to_others_is_replaced_by_one_that_is_not(tmp_path):
    folder = Folder(tmp_path)
    for name in (folder.file_of(ONE, PAYLOAD), INDEX):
        (tmp_path / name).write_text("before")
        (tmp_path / name).chmod(0o666)
    reading = (tmp_path / INDEX).open()
    await folder.take(ONE, PAYLOAD)
    folder.write_index({"payloads": []})
    with reading:  # whoever has it open sees nothing of what is written
        assert reading.read() == "before"
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    assert len(list(tmp_path.iterdir())) == 2


async def test_a_link_is_replaced_and_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("before")
    folder = Folder(tmp_path / "folder")
    (folder.path / INDEX).symlink_to(elsewhere)
    folder.write_index({})
    assert elsewhere.read_text() == "before"
    assert not (folder.path / INDEX).is_symlink()


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    folder = Folder(tmp_path)
    (tmp_path / INDEX).mkdir()
    with pytest.raises(OSError, match="directory"):
        folder.write_index({})
    assert [file.name for file in tmp_path.iterdir()] == [INDEX]


@pytest.mark.parametrize("mode", [0o777, 0o703])
def test_a_folder_that_others_may_write_is_refused(tmp_path, mode):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(mode)
    with pytest.raises(PermissionError, match=f"others can write in it .mode {mode:04o}"):
        Folder(tmp_path / "shared")
